namespace Quadwalk.Emulation;

/// <summary>MOV to CR0 (SDM Vol. 3A, 2.5): bits 63:32 are refused, unknown ones below dropped.</summary>
internal readonly struct WriteCr0 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Set(ref cpu, vcpu, CpuState.At<ulong>(ref cpu, op.Src));

    /// <summary>Changes CR0; 64-bit code cannot turn paging or protection off.</summary>
    public static bool Set(ref CpuState cpu, Vcpu vcpu, ulong value)
    {
        bool cacheless = (value & (Cr0.NW | Cr0.CD)) == Cr0.NW;
        if (value >> 32 != 0 || cacheless || (value & (Cr0.PG | Cr0.PE)) != (Cr0.PG | Cr0.PE))
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        ulong before = cpu.Cr0;
        cpu.Cr0 = (value & Cr0.Known) | Cr0.ET;
        if (((before ^ cpu.Cr0) & (Cr0.PG | Cr0.WP)) != 0)
        {
            vcpu.FlushTlb();
        }
        else
        {
            vcpu.ContextChanged();
        }

        return true;
    }
}

/// <summary>MOV to CR2.</summary>
internal readonly struct WriteCr2 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.Cr2 = CpuState.At<ulong>(ref cpu, op.Src);
        return true;
    }
}

/// <summary>MOV to CR3: drops the translations that are not global.</summary>
internal readonly struct WriteCr3 : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong value = CpuState.At<ulong>(ref cpu, op.Src);
        if (value >> vcpu.Features.PhysicalAddressBits != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        cpu.Cr3 = value;
        vcpu.FlushTlbNonGlobal();
        return true;
    }
}

/// <summary>MOV to CR4; long mode needs PAE.</summary>
internal readonly struct WriteCr4 : IInstruction
{
    private const ulong Translation = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.SMEP | Cr4.SMAP;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong value = CpuState.At<ulong>(ref cpu, op.Src);
        if ((value & ~Cr4.Known) != 0 || (value & Cr4.PAE) == 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        ulong changed = cpu.Cr4 ^ value;
        cpu.Cr4 = value;
        if ((changed & Translation) != 0)
        {
            vcpu.FlushTlb();
        }
        else
        {
            vcpu.ContextChanged();
        }

        return true;
    }
}

/// <summary>MOV to CR8: four bits of task priority.</summary>
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

        cpu.Cr8 = value;
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
        CpuState.At<ulong>(ref cpu, op.Dst) = op.Src switch
        {
            0 => cpu.Cr0,
            2 => cpu.Cr2,
            3 => cpu.Cr3,
            4 => cpu.Cr4,
            _ => cpu.Cr8,
        };
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
        && WriteCr0.Set(ref cpu, vcpu, (cpu.Cr0 & ~(Loaded & ~Cr0.PE)) | (value & Loaded));
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
        if (BranchTarget.IsCanonical(address))
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
