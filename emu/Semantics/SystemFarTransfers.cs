using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>Far JMP and CALL once their pointer is known (SDM Vol. 2A, "JMP" and "CALL").</summary>
internal static class FarTransfer
{
    /// <summary>Transfers to a segment of code, or through a gate or a task.</summary>
    public static BlockExit Go<TPort, T, TCall>(ref CpuState cpu, ref Op op, Vcpu vcpu, ushort selector, ulong offset)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
        where TCall : struct, IFlag
    {
        if (vcpu.IsRealOrVirtual8086)
        {
            return ToCode<TPort, T, TCall>(ref cpu, ref op, vcpu, CodeSegment.Real(ref cpu, SegmentIndex.Cs, selector), offset);
        }

        if (!CodeSegment.TryRead(vcpu, selector, out SegmentDescriptor descriptor))
        {
            return vcpu.PendingExit;
        }

        if (descriptor.IsCodeOrData)
        {
            return CodeSegment.TryBranch(vcpu, descriptor, selector, out SegmentRegister register)
                ? ToCode<TPort, T, TCall>(ref cpu, ref op, vcpu, register, offset)
                : vcpu.PendingExit;
        }

        bool legacy = (cpu.Msr.Efer & Efer.LMA) == 0;
        switch (descriptor.SystemType)
        {
            case SegmentDescriptor.CallGate:
            case SegmentDescriptor.CallGate16 when legacy:
                return GateTransfer<TPort, TCall>.Go(ref cpu, ref op, vcpu, descriptor, selector);
            case SegmentDescriptor.TaskGate or SegmentDescriptor.AvailableTss or SegmentDescriptor.AvailableTss16
                or SegmentDescriptor.BusyTss or SegmentDescriptor.BusyTss16 when legacy:
                return ToTask(ref op, vcpu, descriptor, selector, TCall.Value ? TaskSwitchKind.Call : TaskSwitchKind.Jump);
            default:
                vcpu.RaiseGP(FaultRule.DescriptorType, ErrorCodes.Of(selector));
                return BlockExit.Fault;
        }
    }

    private static BlockExit ToCode<TPort, T, TCall>(ref CpuState cpu, ref Op op, Vcpu vcpu, in SegmentRegister register, ulong offset)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
        where TCall : struct, IFlag
    {
        if (!CodeSegment.Contains(vcpu, register, offset) || (TCall.Value && !TryPush<TPort, T>(ref cpu, ref op, vcpu)))
        {
            return vcpu.PendingExit;
        }

        cpu.Segments[SegmentIndex.Cs] = register;
        cpu.Rip = offset;
        vcpu.ContextChanged();
        return BlockExit.Branch;
    }

    private static BlockExit ToTask(ref Op op, Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector, TaskSwitchKind kind)
    {
        uint error = ErrorCodes.Of(selector);
        if (descriptor.Dpl < Math.Max(vcpu.State.Cpl, selector & 3))
        {
            vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
            return BlockExit.Fault;
        }

        bool gate = descriptor.SystemType == SegmentDescriptor.TaskGate;
        if (gate && !descriptor.IsPresent)
        {
            vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
            return BlockExit.Fault;
        }

        return TaskSwitch.TryGo(vcpu, gate ? (ushort)(descriptor.Raw >> 16) : selector, kind, op.NextRip) ? BlockExit.Branch : vcpu.PendingExit;
    }

    private static unsafe bool TryPush<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        ulong size = (ulong)sizeof(T);
        ulong top = Stack.Pointer<TPort>(ref cpu);
        ulong selector = Stack.Address<TPort>(ref cpu, top - size);
        ulong pointer = Stack.Address<TPort>(ref cpu, top - (2 * size));
        if (!TPort.ProbeWrite(ref cpu, vcpu, selector, sizeof(T))
            || !TPort.Write(ref cpu, vcpu, pointer, T.CreateTruncating(op.NextRip))
            || !TPort.Write(ref cpu, vcpu, selector, T.CreateTruncating(cpu.Segments[SegmentIndex.Cs].Selector)))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, top - (2 * size));
        return true;
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
            || !TPort.Read(ref cpu, vcpu, address + (ulong)sizeof(T), out ushort selector))
        {
            return vcpu.PendingExit;
        }

        return FarTransfer.Go<TPort, T, TCall>(ref cpu, ref op, vcpu, selector, ulong.CreateTruncating(offset));
    }
}

/// <summary>JMP and CALL to a far pointer in the instruction: the offset, and the selector above bit 32 of the immediate.</summary>
internal readonly struct FarDirect<T, TCall> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
    where TCall : struct, IFlag
{
    /// <inheritdoc/>
    public static BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        FarTransfer.Go<TPort, T, TCall>(ref cpu, ref op, vcpu, (ushort)(op.Immediate >> 32), (uint)op.Immediate);
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
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T rip)
            || !TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top + size), out T code))
        {
            return vcpu.PendingExit;
        }

        ulong target = ulong.CreateTruncating(rip);
        ushort selector = ushort.CreateTruncating(code);
        SegmentRegister ss = cpu.Segments[SegmentIndex.Ss];
        if (vcpu.IsRealOrVirtual8086)
        {
            SegmentRegister real = CodeSegment.Real(ref cpu, SegmentIndex.Cs, selector);
            if (!CodeSegment.Contains(vcpu, real, target))
            {
                return vcpu.PendingExit;
            }

            FarReturnCommit.To(ref cpu, vcpu, target, real, ss, top + (2 * size) + op.Immediate, cpu.Cpl);
            return BlockExit.Branch;
        }

        if (!CodeSegment.TryReturn(vcpu, selector, out SegmentRegister cs))
        {
            return vcpu.PendingExit;
        }

        int cpl = cs.Selector & 3;
        top += (2 * size) + op.Immediate;
        if (cpl != cpu.Cpl)
        {
            if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T rsp)
                || !TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top + size), out T stack)
                || !CodeSegment.TryReturnStack(vcpu, ushort.CreateTruncating(stack), cpl, CodeSegment.Is64Bit(ref cpu, cs), out ss))
            {
                return vcpu.PendingExit;
            }

            top = ulong.CreateTruncating(rsp) + op.Immediate;
        }

        if (!CodeSegment.Contains(vcpu, cs, target))
        {
            return vcpu.PendingExit;
        }

        FarReturnCommit.To(ref cpu, vcpu, target, cs, ss, top, cpl);
        return BlockExit.Branch;
    }
}

internal static class FarReturnCommit
{
    /// <summary>Takes up what a return popped; how much of the stack pointer is written follows the new mode and stack.</summary>
    public static void To(ref CpuState cpu, Vcpu vcpu, ulong rip, in SegmentRegister cs, in SegmentRegister ss, ulong rsp, int cpl)
    {
        bool outer = cpl != cpu.Cpl;
        bool wide = CodeSegment.Is64Bit(ref cpu, cs);
        bool contextStays = !outer && wide && vcpu.Is64BitMode;
        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Segments[SegmentIndex.Ss] = ss;
        ref ulong pointer = ref cpu.Gpr[GeneralRegister.Rsp];
        pointer = wide ? rsp
            : Stack.Is32Bit(ref cpu) ? (uint)rsp
            : (pointer & ~(ulong)ushort.MaxValue) | (ushort)rsp;
        cpu.Rip = rip;
        cpu.Cpl = (byte)cpl;
        if (outer)
        {
            CodeSegment.DropInnerSegments(ref cpu);
        }

        if (!contextStays)
        {
            vcpu.ContextChanged();
        }
    }
}
