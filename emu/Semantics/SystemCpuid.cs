namespace Quadwalk.Emulation;

/// <summary>CPUID: see <see cref="Cpuid"/>.</summary>
internal readonly struct CpuidInstruction : IInstruction
{
    private const uint ApicBit = 1 << 9;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        Cpuid cpuid = new(vcpu.Features, cpu.Cr4, cpu.Xcr0, cpu.Msr.Xss, vcpu.ApicId, vcpu.ProcessorCount);
        uint asked = (uint)cpu.Gpr[GeneralRegister.Rax];
        CpuidLeaf leaf = cpuid.Of(asked, (uint)cpu.Gpr[GeneralRegister.Rcx]);
        cpu.Gpr[GeneralRegister.Rax] = leaf.Eax;
        cpu.Gpr[GeneralRegister.Rbx] = leaf.Ebx;
        cpu.Gpr[GeneralRegister.Rcx] = leaf.Ecx;
        cpu.Gpr[GeneralRegister.Rdx] = asked == 1 && vcpu.Apic is { IsEnabled: false } ? leaf.Edx & ~ApicBit : leaf.Edx;
        return true;
    }
}
