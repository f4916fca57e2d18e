namespace Quadwalk.Emulation;

/// <summary>Code segments as far transfers check them (SDM Vol. 3A, 6.8).</summary>
internal static class CodeSegment
{
    /// <summary>Checks the target of a far JMP or CALL without a gate and sets A; false with the reason recorded. CPL stays.</summary>
    public static bool TryBranch(Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector, out SegmentRegister register)
    {
        register = default;
        int cpl = vcpu.State.Cpl;
        bool allowed = descriptor.IsConformingCode ? descriptor.Dpl <= cpl : descriptor.Dpl == cpl && (selector & 3) <= cpl;
        return !descriptor.IsCode ? vcpu.RaiseGP(FaultRule.DescriptorType, ErrorCodes.Of(selector))
            : !allowed ? vcpu.RaiseGP(FaultRule.DescriptorPrivilege, ErrorCodes.Of(selector))
            : TryLoad(vcpu, descriptor, (ushort)((selector & ~3) | cpl), out register);
    }

    /// <summary>Checks the code segment that RETF or IRET returns to and sets A; false with the reason recorded. Its RPL is the new CPL.</summary>
    public static bool TryReturn(Vcpu vcpu, ushort selector, out SegmentRegister register)
    {
        register = default;
        int rpl = selector & 3;
        if (!TryRead(vcpu, selector, out SegmentDescriptor descriptor))
        {
            return false;
        }

        uint error = ErrorCodes.Of(selector);
        if (!descriptor.IsCode)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        bool allowed = rpl >= vcpu.State.Cpl && (descriptor.IsConformingCode ? descriptor.Dpl <= rpl : descriptor.Dpl == rpl);
        return allowed ? TryLoad(vcpu, descriptor, selector, out register) : vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
    }

    /// <summary>Checks the stack segment that a return to <paramref name="cpl"/> pops and sets A; false with the reason recorded.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="selector">SS as popped.</param>
    /// <param name="cpl">The new CPL.</param>
    /// <param name="to64Bit">Whether the return is to 64-bit code, which may have a null SS.</param>
    /// <param name="register">What SS will hold.</param>
    public static bool TryReturnStack(Vcpu vcpu, ushort selector, int cpl, bool to64Bit, out SegmentRegister register)
    {
        register = new SegmentRegister { Selector = selector, Attributes = (uint)cpl << DescriptorBits.DplShift };
        uint error = ErrorCodes.Of(selector);
        if (DescriptorTables.IsNull(selector))
        {
            return (to64Bit && MayStackBeNull(selector, cpl)) || vcpu.RaiseGP(FaultRule.NullSelector);
        }

        if (!DescriptorTables.TryRead(vcpu, selector, out SegmentDescriptor descriptor))
        {
            return Refused(vcpu);
        }

        if (!descriptor.IsWritableData)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        if ((selector & 3) != cpl || descriptor.Dpl != cpl)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.StackFault, error, FaultRule.DescriptorNotPresent);
        }

        return DescriptorTables.TryLoad(vcpu, descriptor, selector, out register) || Refused(vcpu);
    }

    /// <summary>Whether a return to 64-bit code of a ring may pop a null SS: with that ring as its RPL, and never in ring 3.</summary>
    public static bool MayStackBeNull(ushort selector, int cpl) => cpl != 3 && (selector & 3) == cpl;

    /// <summary>After a return to an outer ring: data segments that it may not use become null (SDM Vol. 3A, 6.8.6).</summary>
    public static void DropInnerSegments(ref CpuState cpu)
    {
        ReadOnlySpan<int> data = [SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];
        foreach (int index in data)
        {
            ref SegmentRegister segment = ref cpu.Segments[index];
            const uint conformingCode = DescriptorBits.Code | DescriptorBits.ConformingOrExpandDown;
            bool conforming = (segment.Attributes & conformingCode) == conformingCode;
            int dpl = (int)(segment.Attributes >> DescriptorBits.DplShift) & 3;
            if (!DescriptorTables.IsNull(segment.Selector) && !conforming && dpl < cpu.Cpl)
            {
                segment.Selector = 0;
                segment.Attributes = 0;
            }
        }
    }

    /// <summary>Reads the descriptor of a selector that must not be null; false with the reason recorded.</summary>
    public static bool TryRead(Vcpu vcpu, ushort selector, out SegmentDescriptor descriptor)
    {
        descriptor = default;
        if (DescriptorTables.IsNull(selector))
        {
            return vcpu.RaiseGP(FaultRule.NullSelector);
        }

        return DescriptorTables.TryRead(vcpu, selector, out descriptor) || Refused(vcpu);
    }

    /// <summary>Checks that a code segment is present and of a width that exists, and sets A; false with the reason recorded.</summary>
    public static bool TryLoad(Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector, out SegmentRegister register)
    {
        register = default;
        uint error = ErrorCodes.Of(selector);
        if (descriptor.IsReservedWidth && (vcpu.State.Msr.Efer & Efer.LMA) != 0)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        return DescriptorTables.TryLoad(vcpu, descriptor, selector, out register) || Refused(vcpu);
    }

    /// <summary>Whether a code segment is one of 64-bit mode.</summary>
    public static bool Is64Bit(ref CpuState cpu, in SegmentRegister code) =>
        (cpu.Msr.Efer & Efer.LMA) != 0 && (code.Attributes & DescriptorBits.Code64) != 0;

    /// <summary>Whether a code segment may be entered at an offset; false with #GP(0) recorded.</summary>
    public static bool Contains(Vcpu vcpu, in SegmentRegister code, ulong offset, uint error = 0)
    {
        bool wide = Is64Bit(ref vcpu.State, code);
        bool allowed = wide ? vcpu.IsCanonical(offset) : offset <= code.Limit;
        return allowed || vcpu.Raise(ExceptionVector.GeneralProtection, error, wide ? FaultRule.NonCanonicalTarget : FaultRule.CodeLimit, offset);
    }

    /// <summary>What a selector makes of a segment register in real-address mode: the base; limit and attributes stay.</summary>
    public static SegmentRegister Real(ref CpuState cpu, int segment, ushort selector)
    {
        SegmentRegister register = cpu.Segments[segment];
        register.Selector = selector;
        register.Base = (ulong)selector << 4;
        return (cpu.SystemFlags & Rflags.VM) != 0 ? Virtual8086(selector) : register;
    }

    /// <summary>What a selector makes of a segment register in virtual-8086 mode (SDM Vol. 3B, 22.2.1).</summary>
    public static SegmentRegister Virtual8086(ushort selector) => new()
    {
        Selector = selector,
        Base = (ulong)selector << 4,
        Limit = ushort.MaxValue,
        Attributes = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.WritableOrReadable | DescriptorBits.Accessed
            | (3u << DescriptorBits.DplShift),
    };

    private static bool Refused(Vcpu vcpu)
    {
        DescriptorTables.Refused(vcpu);
        return false;
    }
}
