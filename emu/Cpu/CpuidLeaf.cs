namespace Quadwalk.Emulation;

/// <summary>What CPUID answers to one leaf and subleaf.</summary>
internal readonly record struct CpuidLeaf(uint Eax, uint Ebx, uint Ecx, uint Edx);
