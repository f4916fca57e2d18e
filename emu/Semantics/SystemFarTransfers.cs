using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>Code segments as far transfers check them (SDM Vol. 3A, 6.8).</summary>
internal static class CodeSegment
{
    /// <summary>
    /// Checks the target of a far JMP or CALL and sets A; false with the reason recorded. CPL stays.
    /// </summary>
    public static bool TryBranch(Vcpu vcpu, ushort selector, out SegmentRegister register)
    {
        register = default;
        int cpl = vcpu.State.Cpl;
        if (!TryRead(vcpu, selector, out SegmentDescriptor descriptor))
        {
            return false;
        }

        uint error = ErrorCodes.Of(selector);
        if (!descriptor.IsCodeOrData && descriptor.SystemType == SegmentDescriptor.CallGate)
        {
            return vcpu.StopUnsupported("a far transfer through a call gate");
        }

        if (!descriptor.IsCode)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        bool allowed = descriptor.IsConformingCode ? descriptor.Dpl <= cpl : descriptor.Dpl == cpl && (selector & 3) <= cpl;
        return allowed
            ? TryLoad(vcpu, descriptor, (ushort)((selector & ~3) | cpl), out register)
            : vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
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
    public static bool TryReturnStack(Vcpu vcpu, ushort selector, int cpl, out SegmentRegister register)
    {
        register = new SegmentRegister { Selector = selector, Attributes = (uint)cpl << DescriptorBits.DplShift };
        uint error = ErrorCodes.Of(selector);
        if (DescriptorTables.IsNull(selector))
        {
            return MayStackBeNull(selector, cpl) || vcpu.RaiseGP(FaultRule.NullSelector);
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

    private static bool TryRead(Vcpu vcpu, ushort selector, out SegmentDescriptor descriptor)
    {
        descriptor = default;
        if (DescriptorTables.IsNull(selector))
        {
            return vcpu.RaiseGP(FaultRule.NullSelector);
        }

        return DescriptorTables.TryRead(vcpu, selector, out descriptor) || Refused(vcpu);
    }

    private static bool TryLoad(Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector, out SegmentRegister register)
    {
        register = default;
        uint error = ErrorCodes.Of(selector);
        if (descriptor.IsReservedWidth)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        if (!descriptor.Is64Bit)
        {
            return vcpu.StopUnsupported("a far transfer to a compatibility-mode code segment");
        }

        return DescriptorTables.TryLoad(vcpu, descriptor, selector, out register) || Refused(vcpu);
    }

    private static bool Refused(Vcpu vcpu)
    {
        DescriptorTables.Refused(vcpu);
        return false;
    }
}

/// <summary>JMP and CALL to a far pointer in memory.</summary>
internal readonly struct FarBranch<T, TCall> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
    where TCall : struct, IFlag
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.Read(ref cpu, vcpu, address, out T offset)
            || !TPort.Read(ref cpu, vcpu, address + (ulong)sizeof(T), out ushort selector)
            || !CodeSegment.TryBranch(vcpu, selector, out SegmentRegister register))
        {
            return vcpu.PendingExit;
        }

        ulong target = ulong.CreateTruncating(offset);
        if (!BranchTarget.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        if (TCall.Value && !TryPush<TPort>(ref cpu, ref op, vcpu))
        {
            return vcpu.PendingExit;
        }

        cpu.Segments[SegmentIndex.Cs] = register;
        cpu.Rip = target;
        return BlockExit.Branch;
    }

    private static unsafe bool TryPush<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong size = (ulong)sizeof(T);
        ulong top = cpu.Gpr[GeneralRegister.Rsp] - (2 * size);
        if (!TPort.ProbeWrite(ref cpu, vcpu, top, 2 * sizeof(T))
            || !TPort.Write(ref cpu, vcpu, top, T.CreateTruncating(op.NextRip))
            || !TPort.Write(ref cpu, vcpu, top + size, T.CreateTruncating(cpu.Segments[SegmentIndex.Cs].Selector)))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = top;
        return true;
    }
}

/// <summary>RETF, to the same or an outer ring; the immediate releases parameters on both stacks.</summary>
internal readonly struct FarReturn<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong size = (ulong)sizeof(T);
        ulong top = cpu.Gpr[GeneralRegister.Rsp];
        if (!TPort.Read(ref cpu, vcpu, top, out T rip)
            || !TPort.Read(ref cpu, vcpu, top + size, out T code)
            || !CodeSegment.TryReturn(vcpu, ushort.CreateTruncating(code), out SegmentRegister cs))
        {
            return vcpu.PendingExit;
        }

        ulong target = ulong.CreateTruncating(rip);
        int cpl = cs.Selector & 3;
        top += (2 * size) + op.Immediate;
        SegmentRegister ss = cpu.Segments[SegmentIndex.Ss];
        if (cpl != cpu.Cpl)
        {
            if (!TPort.Read(ref cpu, vcpu, top, out T rsp)
                || !TPort.Read(ref cpu, vcpu, top + size, out T stack)
                || !CodeSegment.TryReturnStack(vcpu, ushort.CreateTruncating(stack), cpl, out ss))
            {
                return vcpu.PendingExit;
            }

            top = ulong.CreateTruncating(rsp) + op.Immediate;
        }

        if (!BranchTarget.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        FarReturnCommit.To(ref cpu, vcpu, target, cs, ss, top);
        return BlockExit.Branch;
    }
}

internal static class FarReturnCommit
{
    /// <summary>Takes up what a return popped.</summary>
    public static void To(ref CpuState cpu, Vcpu vcpu, ulong rip, in SegmentRegister cs, in SegmentRegister ss, ulong rsp)
    {
        int cpl = cs.Selector & 3;
        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Segments[SegmentIndex.Ss] = ss;
        cpu.Gpr[GeneralRegister.Rsp] = rsp;
        cpu.Rip = rip;
        if (cpl != cpu.Cpl)
        {
            cpu.Cpl = (byte)cpl;
            CodeSegment.DropInnerSegments(ref cpu);
            vcpu.ContextChanged();
        }
    }
}

/// <summary>
/// IRET, IRETD and IRETQ in 64-bit mode: five words are popped whatever the new ring. RF would last until the end of the next instruction and
/// only keep breakpoints away from it; there are none, and it stays 0.
/// </summary>
internal readonly struct InterruptReturn<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.SystemFlags & Rflags.NT) != 0)
        {
            vcpu.RaiseGP(FaultRule.NestedTask);
            return BlockExit.Fault;
        }

        ulong size = (ulong)sizeof(T);
        ulong top = cpu.Gpr[GeneralRegister.Rsp];
        if (!TPort.Read(ref cpu, vcpu, top, out T rip)
            || !TPort.Read(ref cpu, vcpu, top + size, out T code)
            || !TPort.Read(ref cpu, vcpu, top + (2 * size), out T flags)
            || !TPort.Read(ref cpu, vcpu, top + (3 * size), out T rsp)
            || !TPort.Read(ref cpu, vcpu, top + (4 * size), out T stack))
        {
            return vcpu.PendingExit;
        }

        ulong target = ulong.CreateTruncating(rip);
        if (!BranchTarget.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        ushort selector = ushort.CreateTruncating(code);
        ushort stackSelector = ushort.CreateTruncating(stack);
        int cpl = selector & 3;
        if (DescriptorTables.IsNull(stackSelector) && !CodeSegment.MayStackBeNull(stackSelector, cpl))
        {
            vcpu.RaiseGP(FaultRule.NullSelector);
            return BlockExit.Fault;
        }

        if (!CodeSegment.TryReturn(vcpu, selector, out SegmentRegister cs)
            || !CodeSegment.TryReturnStack(vcpu, stackSelector, cpl, out SegmentRegister ss))
        {
            return vcpu.PendingExit;
        }

        ulong mask = ChangeableFlags(ref cpu) & (sizeof(T) == sizeof(ushort) ? ushort.MaxValue : uint.MaxValue);
        vcpu.Rflags = (vcpu.Rflags & ~mask) | (ulong.CreateTruncating(flags) & mask);
        FarReturnCommit.To(ref cpu, vcpu, target, cs, ss, ulong.CreateTruncating(rsp));
        return BlockExit.Branch;
    }

    private static ulong ChangeableFlags(ref CpuState cpu) =>
        Rflags.Status | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID
        | (cpu.Cpl == 0 ? Rflags.Iopl : 0)
        | (SystemOperand.IsIoAllowed(ref cpu) ? Rflags.IF : 0);
}
