using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>FS or GS.</summary>
internal interface IBasedSegment
{
    /// <summary>Its index in <see cref="SegmentRegisters"/>.</summary>
    static abstract int Index { get; }
}

internal readonly struct FsRegister : IBasedSegment
{
    public static int Index => SegmentIndex.Fs;
}

internal readonly struct GsRegister : IBasedSegment
{
    public static int Index => SegmentIndex.Gs;
}

/// <summary>RDFSBASE and RDGSBASE: #UD with CR4.FSGSBASE = 0.</summary>
internal readonly struct ReadSegmentBase<TSegment, T> : IInstruction
    where TSegment : struct, IBasedSegment
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.FSGSBASE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(cpu.Segments[TSegment.Index].Base));
        return true;
    }
}

/// <summary>WRFSBASE and WRGSBASE: #UD with CR4.FSGSBASE = 0.</summary>
internal readonly struct WriteSegmentBase<TSegment, T> : IInstruction
    where TSegment : struct, IBasedSegment
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.FSGSBASE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        ulong value = ulong.CreateTruncating(CpuState.At<T>(ref cpu, op.Dst));
        if (!vcpu.IsProcessorCanonical(value))
        {
            return vcpu.RaiseGP(FaultRule.NonCanonicalAddress);
        }

        cpu.Segments[TSegment.Index].Base = value;
        return true;
    }
}

/// <summary>RDPID: IA32_TSC_AUX, in 64-bit mode to the whole register.</summary>
internal readonly struct ReadProcessorId : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, (uint)cpu.Msr.TscAux);
        return true;
    }
}
