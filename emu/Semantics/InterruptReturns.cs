using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>
/// IRET, IRETD and IRETQ (SDM Vol. 2A, "IRET"): in 64-bit mode five words are popped whatever the new ring, elsewhere SS and ESP only for an
/// outer one; with NT it returns to the previous task; to virtual-8086 mode where CPL 0 pops VM. NMIs are unblocked even where it faults. RF
/// lasts until the next instruction begins.
/// </summary>
internal readonly struct InterruptReturn<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        vcpu.IsNmiBlocked = false;
        if ((cpu.SystemFlags & Rflags.VM) != 0 && !FlagsOnStack.Allowed(ref cpu, vcpu))
        {
            return BlockExit.Fault;
        }

        if ((cpu.SystemFlags & Rflags.NT) != 0 && !vcpu.IsRealOrVirtual8086)
        {
            return ToPreviousTask(ref cpu, ref op, vcpu);
        }

        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TryPop<TPort>(ref cpu, vcpu, ref top, out ulong target)
            || !TryPop<TPort>(ref cpu, vcpu, ref top, out ulong code)
            || !TryPop<TPort>(ref cpu, vcpu, ref top, out ulong flags))
        {
            return vcpu.PendingExit;
        }

        if (vcpu.IsRealOrVirtual8086)
        {
            return ToReal(ref cpu, vcpu, target, (ushort)code, flags, top);
        }

        if ((flags & Rflags.VM) != 0 && cpu.Cpl == 0 && sizeof(T) == sizeof(uint) && (cpu.Msr.Efer & Efer.LMA) == 0)
        {
            return ToVirtual8086<TPort>(ref cpu, vcpu, target, (ushort)code, flags, top);
        }

        return ToProtected<TPort>(ref cpu, vcpu, target, (ushort)code, flags, top);
    }

    private static BlockExit ToPreviousTask(ref CpuState cpu, ref Op op, Vcpu vcpu)
    {
        if ((cpu.Msr.Efer & Efer.LMA) != 0)
        {
            vcpu.RaiseGP(FaultRule.NestedTask);
            return BlockExit.Fault;
        }

        if (!SystemMemory.Read(vcpu, cpu.Tr.Base, out ushort previous))
        {
            return DescriptorTables.Refused(vcpu);
        }

        return TaskSwitch.TryGo(vcpu, previous, TaskSwitchKind.Return, op.NextRip) ? BlockExit.Branch : vcpu.PendingExit;
    }

    private static BlockExit ToReal(ref CpuState cpu, Vcpu vcpu, ulong target, ushort code, ulong flags, ulong top)
    {
        SegmentRegister cs = CodeSegment.Real(ref cpu, SegmentIndex.Cs, code);
        if (!CodeSegment.Contains(vcpu, cs, target))
        {
            return vcpu.PendingExit;
        }

        bool virtual8086 = (cpu.SystemFlags & Rflags.VM) != 0;
        SetFlags(vcpu, flags, Rflags.Status | Rflags.TF | Rflags.IF | Rflags.DF | Rflags.NT | Rflags.RF | Rflags.AC | Rflags.ID | (virtual8086 ? 0 : Rflags.Iopl));
        FarReturnCommit.To(ref cpu, vcpu, target, cs, cpu.Segments[SegmentIndex.Ss], top, cpu.Cpl);
        return BlockExit.Branch;
    }

    private static BlockExit ToVirtual8086<TPort>(ref CpuState cpu, Vcpu vcpu, ulong target, ushort code, ulong flags, ulong top)
        where TPort : struct, IMemoryPort
    {
        Span<ulong> popped = stackalloc ulong[6];
        for (int i = 0; i < popped.Length; i++)
        {
            if (!TryPop<TPort>(ref cpu, vcpu, ref top, out popped[i]))
            {
                return vcpu.PendingExit;
            }
        }

        SegmentRegister cs = CodeSegment.Virtual8086(code);
        if (target > cs.Limit)
        {
            vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.CodeLimit, target);
            return BlockExit.Fault;
        }

        cpu.Cpl = 3;
        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Segments[SegmentIndex.Ss] = CodeSegment.Virtual8086((ushort)popped[1]);
        cpu.Segments[SegmentIndex.Es] = CodeSegment.Virtual8086((ushort)popped[2]);
        cpu.Segments[SegmentIndex.Ds] = CodeSegment.Virtual8086((ushort)popped[3]);
        cpu.Segments[SegmentIndex.Fs] = CodeSegment.Virtual8086((ushort)popped[4]);
        cpu.Segments[SegmentIndex.Gs] = CodeSegment.Virtual8086((ushort)popped[5]);
        cpu.Gpr[GeneralRegister.Rsp] = (uint)popped[0];
        cpu.Rip = target;
        SetFlags(vcpu, flags, Rflags.Defined);
        vcpu.ContextChanged();
        return BlockExit.Branch;
    }

    private static BlockExit ToProtected<TPort>(ref CpuState cpu, Vcpu vcpu, ulong target, ushort selector, ulong flags, ulong top)
        where TPort : struct, IMemoryPort
    {
        int cpl = selector & 3;
        SegmentRegister ss = cpu.Segments[SegmentIndex.Ss];
        if (TPort.IsSegmented)
        {
            if (!CodeSegment.TryReturn(vcpu, selector, out SegmentRegister code))
            {
                return vcpu.PendingExit;
            }

            if (cpl != cpu.Cpl)
            {
                if (!TryPop<TPort>(ref cpu, vcpu, ref top, out ulong outer)
                    || !TryPop<TPort>(ref cpu, vcpu, ref top, out ulong stack)
                    || !CodeSegment.TryReturnStack(vcpu, (ushort)stack, cpl, CodeSegment.Is64Bit(ref cpu, code), out ss))
                {
                    return vcpu.PendingExit;
                }

                top = outer;
            }

            return Commit(ref cpu, vcpu, target, code, ss, flags, top, cpl);
        }

        if (!TryPop<TPort>(ref cpu, vcpu, ref top, out ulong rsp) || !TryPop<TPort>(ref cpu, vcpu, ref top, out ulong stackSelector))
        {
            return vcpu.PendingExit;
        }

        if (!vcpu.IsCanonical(target))
        {
            return BranchTarget.Refuse(vcpu, target);
        }

        if (DescriptorTables.IsNull((ushort)stackSelector) && !CodeSegment.MayStackBeNull((ushort)stackSelector, cpl))
        {
            vcpu.RaiseGP(FaultRule.NullSelector);
            return BlockExit.Fault;
        }

        return CodeSegment.TryReturn(vcpu, selector, out SegmentRegister cs)
            && CodeSegment.TryReturnStack(vcpu, (ushort)stackSelector, cpl, CodeSegment.Is64Bit(ref cpu, cs), out ss)
            ? Commit(ref cpu, vcpu, target, cs, ss, flags, rsp, cpl)
            : vcpu.PendingExit;
    }

    private static BlockExit Commit(
        ref CpuState cpu, Vcpu vcpu, ulong target, in SegmentRegister cs, in SegmentRegister ss, ulong flags, ulong rsp, int cpl)
    {
        if (!CodeSegment.Contains(vcpu, cs, target))
        {
            return vcpu.PendingExit;
        }

        SetFlags(vcpu, flags, ChangeableFlags(ref cpu));
        FarReturnCommit.To(ref cpu, vcpu, target, cs, ss, rsp, cpl);
        return BlockExit.Branch;
    }

    private static unsafe bool TryPop<TPort>(ref CpuState cpu, Vcpu vcpu, ref ulong top, out ulong value)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T popped);
        value = ulong.CreateTruncating(popped);
        top += (ulong)sizeof(T);
        return read;
    }

    private static unsafe void SetFlags(Vcpu vcpu, ulong flags, ulong mask)
    {
        mask &= sizeof(T) == sizeof(ushort) ? ushort.MaxValue : uint.MaxValue;
        vcpu.Rflags = (vcpu.Rflags & ~mask) | (flags & mask);
    }

    private static ulong ChangeableFlags(ref CpuState cpu) =>
        Rflags.Status | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.RF | Rflags.AC | Rflags.ID
        | (cpu.Cpl == 0 ? Rflags.Iopl | Rflags.VIF | Rflags.VIP : 0)
        | (SystemOperand.IsIoAllowed(ref cpu) ? Rflags.IF : 0);
}
