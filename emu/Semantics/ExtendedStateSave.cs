namespace Quadwalk.Emulation;

/// <summary>Which of the XSAVE instructions it is (SDM Vol. 1, 13.7 and 13.9 to 13.11).</summary>
internal interface ISaveKind
{
    /// <summary>Whether components in their initial configuration are left out.</summary>
    static abstract bool Optimizes { get; }

    /// <summary>Whether the area gets the compacted format.</summary>
    static abstract bool Compacts { get; }

    /// <summary>Whether supervisor state goes along: CPL 0 only.</summary>
    static abstract bool Supervisor { get; }
}

/// <summary>XSAVE.</summary>
internal readonly struct PlainSave : ISaveKind
{
    public static bool Optimizes => false;

    public static bool Compacts => false;

    public static bool Supervisor => false;
}

/// <summary>XSAVEOPT; what the last XRSTOR loaded and is unchanged is stored all the same.</summary>
internal readonly struct OptimizedSave : ISaveKind
{
    public static bool Optimizes => true;

    public static bool Compacts => false;

    public static bool Supervisor => false;
}

/// <summary>XSAVEC.</summary>
internal readonly struct CompactedSave : ISaveKind
{
    public static bool Optimizes => true;

    public static bool Compacts => true;

    public static bool Supervisor => false;
}

/// <summary>XSAVES.</summary>
internal readonly struct SupervisorSave : ISaveKind
{
    public static bool Optimizes => true;

    public static bool Compacts => true;

    public static bool Supervisor => true;
}

/// <summary>What XSAVE, XRSTOR and their kin check first, and which components they are asked for.</summary>
internal static class ExtendedState
{
    private const ulong Alignment = 64;

    /// <summary>CR4.OSXSAVE, CR0.TS, CPL and alignment, in this order; false with the fault recorded.</summary>
    public static bool Check<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, bool supervisor)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.OSXSAVE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if ((cpu.Cr0 & Cr0.TS) != 0)
        {
            return vcpu.Raise(ExceptionVector.DeviceNotAvailable, null, FaultRule.TaskSwitched);
        }

        if (supervisor && cpu.Cpl != 0)
        {
            return vcpu.RaiseGP(FaultRule.Privileged);
        }

        ulong linear = TPort.IsSegmented ? SegmentedAddress.Linear(ref cpu, gva) : gva;
        return (linear & (Alignment - 1)) == 0 || vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.MisalignedOperand, linear);
    }

    /// <summary>The components that are enabled.</summary>
    public static ulong Enabled(ref CpuState cpu, bool supervisor) => supervisor ? cpu.Xcr0 | cpu.Msr.Xss : cpu.Xcr0;
}

/// <summary>XSAVE, XSAVEOPT, XSAVEC, XSAVES.</summary>
internal readonly struct SaveExtendedState<TKind, TWide> : IInstruction
    where TKind : struct, ISaveKind
    where TWide : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!ExtendedState.Check<TPort>(ref cpu, vcpu, gva, TKind.Supervisor))
        {
            return false;
        }

        ulong requested = ExtendedState.Enabled(ref cpu, TKind.Supervisor) & SystemOperand.EdxEax(ref cpu);
        ulong inUse = ExtendedStateArea.InUse(ref cpu);
        inUse |= TKind.Compacts && cpu.Mxcsr != SseState.MxcsrDefault ? StateComponents.Sse : 0;
        ulong stored = TKind.Optimizes ? requested & inUse : requested;
        ulong format = TKind.Compacts ? requested | StateComponents.Compacted : 0;
        bool mxcsr = TKind.Compacts ? (stored & StateComponents.Sse) != 0 : (requested & (StateComponents.Sse | StateComponents.Avx)) != 0;
        return ExtendedStateArea.ProbeWrite<TPort>(ref cpu, vcpu, gva, stored, mxcsr, format)
            && ExtendedStateArea.Store<TPort>(ref cpu, vcpu, gva, stored, mxcsr, format, TWide.Value)
            && StoreHeader<TPort>(ref cpu, vcpu, gva + ExtendedStateArea.Header, requested, requested & inUse, format);
    }

    /// <summary>The standard format keeps the bits of XSTATE_BV that were not asked for, and XCOMP_BV.</summary>
    private static bool StoreHeader<TPort>(ref CpuState cpu, Vcpu vcpu, ulong header, ulong requested, ulong present, ulong format)
        where TPort : struct, IMemoryPort
    {
        if (TKind.Compacts)
        {
            return TPort.Write(ref cpu, vcpu, header, new UInt128(format, present));
        }

        if (!TPort.BeginModify(ref cpu, vcpu, header, out ulong before, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, header, location, (before & ~requested) | present);
        return true;
    }
}
