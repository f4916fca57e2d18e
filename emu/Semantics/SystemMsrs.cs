using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Numbers of model-specific registers (SDM Vol. 4, table 2-2).</summary>
internal static class MsrNumber
{
    public const uint TimeStampCounter = 0x10;
    public const uint ApicBase = 0x1B;
    public const uint MiscEnable = 0x1A0;
    public const uint DebugControl = 0x1D9;
    public const uint Pat = 0x277;
    public const uint Efer = 0xC000_0080;
    public const uint Star = 0xC000_0081;
    public const uint Lstar = 0xC000_0082;
    public const uint Cstar = 0xC000_0083;
    public const uint Fmask = 0xC000_0084;
    public const uint FsBase = 0xC000_0100;
    public const uint GsBase = 0xC000_0101;
    public const uint KernelGsBase = 0xC000_0102;
    public const uint TscAux = 0xC000_0103;
}

/// <summary>RDMSR.</summary>
internal readonly struct ReadMsr : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (vcpu.Apic is LocalApic apic && LocalApic.OwnsMsr((uint)cpu.Gpr[GeneralRegister.Rcx]))
        {
            vcpu.SynchronizeClock(ref op);
            if (!apic.TryReadMsr((uint)cpu.Gpr[GeneralRegister.Rcx], out ulong ofApic))
            {
                return vcpu.RaiseGP(FaultRule.UnknownMsr);
            }

            SystemOperand.SetEdxEax(ref cpu, ofApic);
            return true;
        }

        ref ModelSpecificRegisters msr = ref cpu.Msr;
        ulong? value = (uint)cpu.Gpr[GeneralRegister.Rcx] switch
        {
            MsrNumber.TimeStampCounter => vcpu.Now(ref op) + msr.TscOffset,
            MsrNumber.ApicBase => msr.ApicBase,
            MsrNumber.MiscEnable => msr.MiscEnable,
            MsrNumber.DebugControl => msr.DebugControl,
            MsrNumber.Pat => vcpu.Features.Has(CpuFeature.Pat) ? msr.Pat : null,
            MsrNumber.Efer => msr.Efer,
            MsrNumber.Star => msr.Star,
            MsrNumber.Lstar => msr.Lstar,
            MsrNumber.Cstar => msr.Cstar,
            MsrNumber.Fmask => msr.Fmask,
            MsrNumber.FsBase => cpu.Segments[SegmentIndex.Fs].Base,
            MsrNumber.GsBase => cpu.Segments[SegmentIndex.Gs].Base,
            MsrNumber.KernelGsBase => msr.KernelGsBase,
            MsrNumber.TscAux => msr.TscAux,
            uint number => MachineMsrs.Read(ref cpu, vcpu, number),
        };
        if (value is not ulong read)
        {
            return vcpu.RaiseGP(FaultRule.UnknownMsr);
        }

        SystemOperand.SetEdxEax(ref cpu, read);
        return true;
    }
}

/// <summary>WRMSR.</summary>
internal readonly struct WriteMsr : IInstruction
{
    private const ulong ApicBaseLowReserved = 0x6FF;

    /// <summary>Bits of IA32_MISC_ENABLE that are kept and that nothing looks at: fast strings, thermal control, performance and the like.</summary>
    private const ulong MiscEnableStored = 0x4_00C1_1889;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ref ModelSpecificRegisters msr = ref cpu.Msr;
        ulong value = SystemOperand.EdxEax(ref cpu);
        if (vcpu.Apic is LocalApic apic && LocalApic.OwnsMsr((uint)cpu.Gpr[GeneralRegister.Rcx]))
        {
            vcpu.SynchronizeClock(ref op);
            return apic.TryWriteMsr((uint)cpu.Gpr[GeneralRegister.Rcx], value) || vcpu.RaiseGP(FaultRule.UnknownMsr);
        }

        switch ((uint)cpu.Gpr[GeneralRegister.Rcx])
        {
            case MsrNumber.TimeStampCounter:
                msr.TscOffset = value - vcpu.Now(ref op);
                vcpu.Apic?.TscOffset = msr.TscOffset;
                return true;
            case MsrNumber.ApicBase:
                bool reserved = (value & ApicBaseLowReserved) != 0 || value >> vcpu.Features.PhysicalAddressBits != 0;
                return Store(vcpu, ref msr.ApicBase, value, !reserved);
            case MsrNumber.MiscEnable:
                return Store(vcpu, ref msr.MiscEnable, value, ((value ^ msr.MiscEnable) & ~MiscEnableStored) == 0);
            case MsrNumber.DebugControl:
                return Store(vcpu, ref msr.DebugControl, value, (value & ~(DebugControl.BTF | DebugControl.LBR)) == 0);
            case MsrNumber.Pat:
                return vcpu.Features.Has(CpuFeature.Pat)
                    ? Store(vcpu, ref msr.Pat, value, MemoryTypeEncoding.AreForPat(value))
                    : vcpu.RaiseGP(FaultRule.UnknownMsr);
            case MsrNumber.Efer:
                return ControlRegisterRules.SetEfer(ref cpu, vcpu, value);
            case MsrNumber.Star:
                msr.Star = value;
                return true;
            case MsrNumber.Lstar:
                return Store(vcpu, ref msr.Lstar, value, vcpu.IsProcessorCanonical(value));
            case MsrNumber.Cstar:
                return Store(vcpu, ref msr.Cstar, value, vcpu.IsProcessorCanonical(value));
            case MsrNumber.Fmask:
                return Store(vcpu, ref msr.Fmask, value, value >> 32 == 0);
            case MsrNumber.FsBase:
                return Store(vcpu, ref cpu.Segments[SegmentIndex.Fs].Base, value, vcpu.IsProcessorCanonical(value));
            case MsrNumber.GsBase:
                return Store(vcpu, ref cpu.Segments[SegmentIndex.Gs].Base, value, vcpu.IsProcessorCanonical(value));
            case MsrNumber.KernelGsBase:
                return Store(vcpu, ref msr.KernelGsBase, value, vcpu.IsProcessorCanonical(value));
            case MsrNumber.TscAux:
                return Store(vcpu, ref msr.TscAux, value, value >> 32 == 0);
            default:
                return MachineMsrs.Write(ref cpu, vcpu, (uint)cpu.Gpr[GeneralRegister.Rcx], value);
        }
    }

    private static bool Store(Vcpu vcpu, ref ulong register, ulong value, bool allowed)
    {
        if (!allowed)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        register = value;
        return true;
    }
}

/// <summary>SWAPGS.</summary>
internal readonly struct SwapGs : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        (cpu.Segments[SegmentIndex.Gs].Base, cpu.Msr.KernelGsBase) = (cpu.Msr.KernelGsBase, cpu.Segments[SegmentIndex.Gs].Base);
        return true;
    }
}

/// <summary>RDTSC and RDTSCP: time is retired instructions.</summary>
internal readonly struct ReadTimeStamp<TWithAux> : IInstruction
    where TWithAux : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.TSD) != 0 && cpu.Cpl != 0)
        {
            return vcpu.RaiseGP(FaultRule.Privileged);
        }

        SystemOperand.SetEdxEax(ref cpu, vcpu.Now(ref op) + cpu.Msr.TscOffset);
        if (TWithAux.Value)
        {
            cpu.Gpr[GeneralRegister.Rcx] = (uint)cpu.Msr.TscAux;
        }

        return true;
    }
}
