namespace Quadwalk.Emulation;

/// <summary>MOV to CR0.</summary>
internal readonly struct WriteCr0 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        ControlRegisterRules.SetCr0(ref cpu, vcpu, ControlRegisterOperand.Get(ref cpu, vcpu, op.Src));
}

/// <summary>MOV to CR2.</summary>
internal readonly struct WriteCr2 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Cr2 = ControlRegisterOperand.Get(ref cpu, vcpu, op.Src);
        return true;
    }
}

/// <summary>MOV to CR3.</summary>
internal readonly struct WriteCr3 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        ControlRegisterRules.SetCr3(ref cpu, vcpu, ControlRegisterOperand.Get(ref cpu, vcpu, op.Src));
}

/// <summary>MOV to CR4.</summary>
internal readonly struct WriteCr4 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        ControlRegisterRules.SetCr4(ref cpu, vcpu, ControlRegisterOperand.Get(ref cpu, vcpu, op.Src));
}

/// <summary>MOV to CR8, which only 64-bit mode can encode: four bits of task priority.</summary>
internal readonly struct WriteCr8 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong value = CpuState.At<ulong>(ref cpu, op.Src);
        if (value > 15)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        vcpu.TaskPriority = value;
        return true;
    }
}

/// <summary>MOV from a control register.</summary>
internal readonly struct ReadControlRegister : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong value = op.Src switch
        {
            0 => cpu.Cr0,
            2 => cpu.Cr2,
            3 => cpu.Cr3,
            4 => cpu.Cr4,
            _ => vcpu.TaskPriority,
        };
        ControlRegisterOperand.Set(ref cpu, vcpu, op.Dst, value);
        return true;
    }
}

/// <summary>CLTS.</summary>
internal readonly struct ClearTaskSwitched : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Cr0 &= ~Cr0.TS;
        vcpu.ContextChanged();
        return true;
    }
}

/// <summary>LMSW: PE, MP, EM and TS of CR0, of which PE cannot be cleared.</summary>
internal readonly struct LoadStatusWord<TSource> : IInstruction
    where TSource : struct, IWordSource
{
    private const ulong Loaded = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TSource.TryGet<TPort>(ref cpu, ref op, vcpu, out ushort value)
        && ControlRegisterRules.SetCr0(ref cpu, vcpu, (cpu.Cr0 & ~(Loaded & ~Cr0.PE)) | (value & Loaded));
}

/// <summary>A 16-bit operand: a selector, or the machine status word.</summary>
internal interface IWordSource
{
    /// <summary>Reads it.</summary>
    static abstract bool TryGet<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu, out ushort value)
        where TPort : struct, IMemoryPort;
}

/// <summary>In the low half of a register; binders see to it that <see cref="Op.Src"/> names it.</summary>
internal readonly struct WordFromRegister : IWordSource
{
    /// <inheritdoc/>
    public static bool TryGet<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu, out ushort value)
        where TPort : struct, IMemoryPort
    {
        value = CpuState.At<ushort>(ref cpu, op.Src);
        return true;
    }
}

/// <summary>In memory.</summary>
internal readonly struct WordFromMemory : IWordSource
{
    /// <inheritdoc/>
    public static bool TryGet<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu, out ushort value)
        where TPort : struct, IMemoryPort => TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out value);
}

/// <summary>INVLPG; an address that is not canonical is none to drop.</summary>
internal readonly struct InvalidatePage : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        address = TPort.IsSegmented ? SegmentedAddress.Linear(ref cpu, address) : address;
        if (vcpu.IsProcessorCanonical(address))
        {
            vcpu.FlushTlbPage(new GuestMemory.Gva(address));
        }

        return true;
    }
}

/// <summary>CLFLUSH: an access as a byte read, and no more, since there is no cache.</summary>
internal readonly struct FlushLine : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out byte _);
}

/// <summary>CLAC and STAC: #UD above CPL 0.</summary>
internal readonly struct ChangeAlignmentCheck<TValue> : IInstruction
    where TValue : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (cpu.Cpl != 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.Privileged);
        }

        cpu.SystemFlags = TValue.Value ? cpu.SystemFlags | Rflags.AC : cpu.SystemFlags & ~Rflags.AC;
        vcpu.ContextChanged();
        return true;
    }
}
