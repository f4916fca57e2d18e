using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>The descriptors that LLDT and LTR load: 16 bytes in IA-32e mode, else 8.</summary>
internal static class SystemDescriptor
{
    /// <summary>Reads and checks a descriptor of the GDT; false with the reason recorded.</summary>
    public static bool TryRead(Vcpu vcpu, ushort selector, int type, out SegmentDescriptor descriptor, out SegmentRegister register)
    {
        register = default;
        descriptor = default;
        uint error = ErrorCodes.Of(selector);
        if ((selector & 4) != 0)
        {
            return vcpu.RaiseGP(FaultRule.SelectorOutsideTable, error);
        }

        bool wide = (vcpu.State.Msr.Efer & Efer.LMA) != 0;
        ulong upper = 0;
        if (!DescriptorTables.TryRead(vcpu, selector, out descriptor, external: 0, size: wide ? 16 : 8)
            || (wide && !SystemMemory.Read(vcpu, descriptor.Address + sizeof(ulong), out upper)))
        {
            DescriptorTables.Refused(vcpu);
            return false;
        }

        bool narrowTask = !wide && type == SegmentDescriptor.AvailableTss && descriptor.SystemType == SegmentDescriptor.AvailableTss16;
        if (descriptor.IsCodeOrData || (descriptor.SystemType != type && !narrowTask))
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        register = descriptor.ToRegister(selector);
        register.Base |= upper << 32;
        return vcpu.IsProcessorCanonical(register.Base) || vcpu.RaiseGP(FaultRule.NonCanonicalAddress, error);
    }
}

/// <summary>LLDT; a null selector leaves no LDT.</summary>
internal readonly struct LoadLdt<TSource> : IInstruction
    where TSource : struct, IWordSource
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        SegmentRegister register = default;
        if (!TSource.TryGet<TPort>(ref cpu, ref op, vcpu, out ushort selector)
            || (!DescriptorTables.IsNull(selector) && !SystemDescriptor.TryRead(vcpu, selector, SegmentDescriptor.Ldt, out _, out register)))
        {
            return false;
        }

        register.Selector = selector;
        cpu.Ldtr = register;
        return true;
    }
}

/// <summary>LTR: marks the TSS busy.</summary>
internal readonly struct LoadTask<TSource> : IInstruction
    where TSource : struct, IWordSource
{
    private const uint Busy = 1 << 9;
    private const ulong AccessByte = 5;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.TryGet<TPort>(ref cpu, ref op, vcpu, out ushort selector))
        {
            return false;
        }

        if (DescriptorTables.IsNull(selector))
        {
            return vcpu.RaiseGP(FaultRule.NullSelector);
        }

        if (!SystemDescriptor.TryRead(vcpu, selector, SegmentDescriptor.AvailableTss, out SegmentDescriptor descriptor, out SegmentRegister register))
        {
            return false;
        }

        register.Attributes |= Busy;
        if (!SystemMemory.Write(vcpu, descriptor.Address + AccessByte, (byte)(register.Attributes >> 8)))
        {
            DescriptorTables.Refused(vcpu);
            return false;
        }

        cpu.Tr = register;
        return true;
    }
}

/// <summary>What LAR, LSL, VERR and VERW ask of a descriptor.</summary>
internal interface IDescriptorQuery
{
    /// <summary>Whether there is a result to write.</summary>
    static abstract bool HasResult { get; }

    /// <summary>Answers; false where the descriptor is of no suitable type. IA-32e mode knows no 16-bit and no task descriptors.</summary>
    static abstract bool Ask(in SegmentDescriptor descriptor, bool legacy, out uint result);
}

/// <summary>LAR.</summary>
internal readonly struct AccessRights : IDescriptorQuery
{
    private const uint Mask = 0x00F0_FF00;

    /// <inheritdoc/>
    public static bool HasResult => true;

    /// <inheritdoc/>
    public static bool Ask(in SegmentDescriptor descriptor, bool legacy, out uint result)
    {
        result = descriptor.Attributes & Mask;
        return descriptor.IsCodeOrData || descriptor.SystemType is SegmentDescriptor.Ldt or SegmentDescriptor.AvailableTss
            or SegmentDescriptor.BusyTss or SegmentDescriptor.CallGate
            || (legacy && descriptor.SystemType is SegmentDescriptor.AvailableTss16 or SegmentDescriptor.BusyTss16 or SegmentDescriptor.CallGate16
                or SegmentDescriptor.TaskGate);
    }
}

/// <summary>LSL.</summary>
internal readonly struct SegmentLimit : IDescriptorQuery
{
    /// <inheritdoc/>
    public static bool HasResult => true;

    /// <inheritdoc/>
    public static bool Ask(in SegmentDescriptor descriptor, bool legacy, out uint result)
    {
        result = descriptor.Limit;
        return descriptor.IsCodeOrData || descriptor.SystemType is SegmentDescriptor.Ldt or SegmentDescriptor.AvailableTss or SegmentDescriptor.BusyTss
            || (legacy && descriptor.SystemType is SegmentDescriptor.AvailableTss16 or SegmentDescriptor.BusyTss16);
    }
}

/// <summary>VERR.</summary>
internal readonly struct VerifyRead : IDescriptorQuery
{
    /// <inheritdoc/>
    public static bool HasResult => false;

    /// <inheritdoc/>
    public static bool Ask(in SegmentDescriptor descriptor, bool legacy, out uint result)
    {
        result = 0;
        return descriptor.IsReadable;
    }
}

/// <summary>VERW.</summary>
internal readonly struct VerifyWrite : IDescriptorQuery
{
    /// <inheritdoc/>
    public static bool HasResult => false;

    /// <inheritdoc/>
    public static bool Ask(in SegmentDescriptor descriptor, bool legacy, out uint result)
    {
        result = 0;
        return descriptor.IsWritableData;
    }
}

/// <summary>LAR, LSL, VERR and VERW: ZF says whether the descriptor is there, of the right type, and visible from CPL and RPL.</summary>
internal readonly struct QueryDescriptor<TQuery, T, TSource> : IInstruction
    where TQuery : struct, IDescriptorQuery
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IWordSource
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.TryGet<TPort>(ref cpu, ref op, vcpu, out ushort selector))
        {
            return false;
        }

        uint result = 0;
        bool visible = false;
        if (!DescriptorTables.IsNull(selector) && DescriptorTables.TryLocate(ref cpu, selector, sizeof(ulong), out ulong address))
        {
            if (!SystemMemory.Read(vcpu, address, out ulong raw))
            {
                DescriptorTables.Refused(vcpu);
                return false;
            }

            SegmentDescriptor descriptor = new(raw, address);
            visible = TQuery.Ask(descriptor, (cpu.Msr.Efer & Efer.LMA) == 0, out result) && (descriptor.IsConformingCode || descriptor.Dpl >= Math.Max(cpu.Cpl, selector & 3));
        }

        if (visible && TQuery.HasResult)
        {
            CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(result));
        }

        cpu.Flags.Word = visible ? cpu.Flags.Word | Rflags.ZF : cpu.Flags.Word & ~Rflags.ZF;
        return true;
    }
}
