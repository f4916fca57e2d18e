using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds PUSH, POP, PUSHF, POPF, ENTER and LEAVE; segment registers are popped elsewhere.</summary>
internal static class StackBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        op.Flags |= OpFlags.ImplicitStack;
        bool narrow = i.StackPointerIncrement is 2 or -2;
        switch (i.Mnemonic)
        {
            case Mnemonic.Push when i.Op0Kind == OpKind.Register && i.Op0Register.IsGPR():
                return narrow ? OpBinder<TPort>.Straight<PushReg<ushort>>(ref op) : OpBinder<TPort>.Straight<PushReg<ulong>>(ref op);
            case Mnemonic.Push when i.Op0Kind == OpKind.Register:
                op.Src = (ushort)(i.Op0Register - Register.ES);
                return narrow ? OpBinder<TPort>.Straight<PushSegment<ushort>>(ref op) : OpBinder<TPort>.Straight<PushSegment<ulong>>(ref op);
            case Mnemonic.Push when i.Op0Kind == OpKind.Memory:
                return narrow ? OpBinder<TPort>.Straight<PushMem<ushort>>(ref op) : OpBinder<TPort>.Straight<PushMem<ulong>>(ref op);
            case Mnemonic.Push:
                return narrow ? OpBinder<TPort>.Straight<PushImm<ushort>>(ref op) : OpBinder<TPort>.Straight<PushImm<ulong>>(ref op);
            case Mnemonic.Pop when i.Op0Kind == OpKind.Register && i.Op0Register.IsGPR():
                return narrow ? OpBinder<TPort>.Straight<PopReg<ushort>>(ref op) : OpBinder<TPort>.Straight<PopReg<ulong>>(ref op);
            case Mnemonic.Pop when i.Op0Kind == OpKind.Memory:
                return narrow ? OpBinder<TPort>.Straight<PopMem<ushort>>(ref op) : OpBinder<TPort>.Straight<PopMem<ulong>>(ref op);
            case Mnemonic.Pushfq:
                return OpBinder<TPort>.Straight<PushFlags<ulong>>(ref op);
            case Mnemonic.Pushf:
                return OpBinder<TPort>.Straight<PushFlags<ushort>>(ref op);
            case Mnemonic.Popfq:
                return OpBinder<TPort>.Serializing<PopFlags<ulong>>(ref op);
            case Mnemonic.Popf:
                return OpBinder<TPort>.Serializing<PopFlags<ushort>>(ref op);
            case Mnemonic.Leave:
                op.Flags |= OpFlags.Stack;
                return i.Code == Code.Leavew ? OpBinder<TPort>.Straight<Leave<ushort>>(ref op) : OpBinder<TPort>.Straight<Leave<ulong>>(ref op);
            case Mnemonic.Enter:
                op.Flags |= OpFlags.Stack;
                op.Immediate = i.Immediate16;
                op.Scale = i.Immediate8_2nd;
                return i.Code == Code.Enterw_imm16_imm8 ? OpBinder<TPort>.Straight<Enter<ushort>>(ref op) : OpBinder<TPort>.Straight<Enter<ulong>>(ref op);
            default:
                return BindKind.Unsupported;
        }
    }
}

/// <summary>The stack as instructions use it in 64-bit mode: RSP, whole.</summary>
internal static class Stack
{
    /// <summary>Pushes a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Push<TPort, T>(ref CpuState cpu, Vcpu vcpu, T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        ulong top = cpu.Gpr[GeneralRegister.Rsp] - (ulong)sizeof(T);
        if (!TPort.Write(ref cpu, vcpu, top, value))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = top;
        return true;
    }
}

/// <summary>PUSH of a general register.</summary>
internal readonly struct PushReg<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Stack.Push<TPort, T>(ref cpu, vcpu, CpuState.At<T>(ref cpu, op.Dst));
}

/// <summary>PUSH of an immediate.</summary>
internal readonly struct PushImm<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Stack.Push<TPort, T>(ref cpu, vcpu, T.CreateTruncating(op.Immediate));
}

/// <summary>PUSH of a segment register, zero-extended.</summary>
internal readonly struct PushSegment<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => Stack.Push<TPort, T>(ref cpu, vcpu, T.CreateTruncating(cpu.Segments[op.Src].Selector));
}

/// <summary>PUSH of memory; an address by RSP is taken before the push.</summary>
internal readonly struct PushMem<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out T value) && Stack.Push<TPort, T>(ref cpu, vcpu, value);
}

/// <summary>POP to a general register; POP RSP ends with the value popped.</summary>
internal readonly struct PopReg<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = cpu.Gpr[GeneralRegister.Rsp];
        if (!TPort.Read(ref cpu, vcpu, top, out T value))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = top + (ulong)sizeof(T);
        CpuState.Set(ref cpu, op.Dst, value);
        return true;
    }
}

/// <summary>POP to memory; an address by RSP is taken after the pop.</summary>
internal readonly struct PopMem<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = cpu.Gpr[GeneralRegister.Rsp];
        if (!TPort.Read(ref cpu, vcpu, top, out T value))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = top + (ulong)sizeof(T);
        if (TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), value))
        {
            return true;
        }

        cpu.Gpr[GeneralRegister.Rsp] = top;
        return false;
    }
}

/// <summary>PUSHF and PUSHFQ: VM and RF are pushed as 0.</summary>
internal readonly struct PushFlags<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        Stack.Push<TPort, T>(ref cpu, vcpu, T.CreateTruncating(vcpu.Rflags & ~(Rflags.VM | Rflags.RF)));
}

/// <summary>POPF and POPFQ: IOPL changes at CPL 0 only, IF where CPL is at most IOPL; RF is cleared.</summary>
internal readonly struct PopFlags<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = cpu.Gpr[GeneralRegister.Rsp];
        if (!TPort.Read(ref cpu, vcpu, top, out T popped))
        {
            return vcpu.PendingExit;
        }

        ulong mask = Rflags.Status | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID;
        mask |= cpu.Cpl == 0 ? Rflags.Iopl : 0;
        mask |= cpu.Cpl <= (int)((cpu.SystemFlags & Rflags.Iopl) >> Rflags.IoplShift) ? Rflags.IF : 0;
        mask &= sizeof(T) == sizeof(ushort) ? ushort.MaxValue : ulong.MaxValue;
        vcpu.Rflags = (vcpu.Rflags & ~(mask | Rflags.RF)) | (ulong.CreateTruncating(popped) & mask);
        cpu.Gpr[GeneralRegister.Rsp] = top + (ulong)sizeof(T);
        cpu.Rip = op.NextRip;
        return BlockExit.Branch;
    }
}

/// <summary>LEAVE.</summary>
internal readonly struct Leave<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong frame = cpu.Gpr[GeneralRegister.Rbp];
        if (!TPort.Read(ref cpu, vcpu, frame, out T saved))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = frame + (ulong)sizeof(T);
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rbp * sizeof(ulong)), saved);
        return true;
    }
}

/// <summary>ENTER with its nested frame pointers (SDM Vol. 2A, "ENTER").</summary>
internal readonly struct Enter<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int level = op.Scale & 31;
        ulong size = (ulong)sizeof(T);
        ulong stack = cpu.Gpr[GeneralRegister.Rsp];
        ulong frame = stack - size;
        ulong newStack = frame - (level > 0 ? (ulong)level * size : 0) - op.Immediate;

        // Nothing may have been pushed when a later access faults: look at all of the frame first.
        if (!TPort.ProbeWrite(ref cpu, vcpu, stack - (size * (ulong)(level + 1)), (int)size * (level + 1)) || !TPort.ProbeWrite(ref cpu, vcpu, newStack, 1))
        {
            return false;
        }

        ulong link = cpu.Gpr[GeneralRegister.Rbp];
        Span<T> links = stackalloc T[32];
        for (int i = 1; i < level; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, link - ((ulong)i * size), out links[i]))
            {
                return false;
            }
        }

        if (!TPort.Write(ref cpu, vcpu, frame, T.CreateTruncating(link)))
        {
            return false;
        }

        for (int i = 1; i < level; i++)
        {
            if (!TPort.Write(ref cpu, vcpu, frame - ((ulong)i * size), links[i]))
            {
                return false;
            }
        }

        if (level > 0 && !TPort.Write(ref cpu, vcpu, frame - ((ulong)level * size), T.CreateTruncating(frame)))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = newStack;
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rbp * sizeof(ulong)), T.CreateTruncating(frame));
        return true;
    }
}
