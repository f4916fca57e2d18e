using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A device and the range of guest-physical addresses it answers in; <paramref name="Size"/> is in bytes.</summary>
public readonly record struct MmioRegion(Gpa Base, ulong Size, IMmioDevice Device);
