using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER and LEAVE; segment registers are popped elsewhere.</summary>
internal static class StackBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        op.Flags |= OpFlags.ImplicitStack;
        return Math.Abs(i.StackPointerIncrement) switch
        {
            2 => Bind<ushort>(i, ref op),
            4 => Bind<uint>(i, ref op),
            8 => Bind<ulong>(i, ref op),
            _ => BindFrame(i, ref op),
        };
    }

    private static BindKind Bind<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Push when i.Op0Kind == OpKind.Register && i.Op0Register.IsGPR():
                return OpBinder<TPort>.Straight<PushReg<T>>(ref op);
            case Mnemonic.Push when i.Op0Kind == OpKind.Register:
                op.Src = (ushort)(i.Op0Register - Register.ES);
                return OpBinder<TPort>.Straight<PushSegment<T>>(ref op);
            case Mnemonic.Push when i.Op0Kind == OpKind.Memory:
                return OpBinder<TPort>.Straight<PushMem<T>>(ref op);
            case Mnemonic.Push:
                return OpBinder<TPort>.Straight<PushImm<T>>(ref op);
            case Mnemonic.Pop when i.Op0Kind == OpKind.Register && i.Op0Register.IsGPR():
                return OpBinder<TPort>.Straight<PopReg<T>>(ref op);
            case Mnemonic.Pop when i.Op0Kind == OpKind.Memory:
                return OpBinder<TPort>.Straight<PopMem<T>>(ref op);
            case Mnemonic.Pushfq or Mnemonic.Pushfd or Mnemonic.Pushf:
                return OpBinder<TPort>.Straight<PushFlags<T>>(ref op);
            case Mnemonic.Popfq or Mnemonic.Popfd or Mnemonic.Popf:
                return OpBinder<TPort>.Serializing<PopFlags<T>>(ref op);
            default:
                return BindFrame(i, ref op);
        }
    }

    private static BindKind BindFrame(in Instruction i, ref Op op)
    {
        switch (i.Code)
        {
            case Code.Leavew:
                return Leave<ushort>(ref op);
            case Code.Leaved:
                return Leave<uint>(ref op);
            case Code.Leaveq:
                return Leave<ulong>(ref op);
            case Code.Enterw_imm16_imm8:
                return Enter<ushort>(i, ref op);
            case Code.Enterd_imm16_imm8:
                return Enter<uint>(i, ref op);
            case Code.Enterq_imm16_imm8:
                return Enter<ulong>(i, ref op);
            case Code.Pushaw:
                return OpBinder<TPort>.Straight<PushAll<ushort>>(ref op);
            case Code.Pushad:
                return OpBinder<TPort>.Straight<PushAll<uint>>(ref op);
            case Code.Popaw:
                return OpBinder<TPort>.Straight<PopAll<ushort>>(ref op);
            case Code.Popad:
                return OpBinder<TPort>.Straight<PopAll<uint>>(ref op);
            default:
                return BindKind.Unsupported;
        }
    }

    private static BindKind Leave<T>(ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        op.Flags |= OpFlags.Stack;
        return OpBinder<TPort>.Straight<Leave<T>>(ref op);
    }

    private static BindKind Enter<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T>
    {
        op.Flags |= OpFlags.Stack;
        op.Immediate = i.Immediate16;
        op.Scale = i.Immediate8_2nd;
        return OpBinder<TPort>.Straight<Enter<T>>(ref op);
    }
}

/// <summary>
/// The stack as instructions use it: in 64-bit mode RSP, whole; elsewhere SS with ESP or SP, as B of SS says (SDM Vol. 1, 6.2).
/// </summary>
internal static class Stack
{
    /// <summary>The stack pointer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Pointer<TPort>(ref CpuState cpu)
        where TPort : struct, IMemoryPort =>
        TPort.IsSegmented ? Masked(ref cpu, cpu.Gpr[GeneralRegister.Rsp]) : cpu.Gpr[GeneralRegister.Rsp];

    /// <summary>The address of a place on the stack, as the port takes it; a pointer that was moved beyond an end wraps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Address<TPort>(ref CpuState cpu, ulong pointer)
        where TPort : struct, IMemoryPort =>
        TPort.IsSegmented ? SegmentedAddress.Of(SegmentIndex.Ss, Masked(ref cpu, pointer)) : pointer;

    /// <summary>Writes the stack pointer: SP leaves the bits above it alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetPointer<TPort>(ref CpuState cpu, ulong pointer)
        where TPort : struct, IMemoryPort
    {
        cpu.Gpr[GeneralRegister.Rsp] = Moved<TPort>(ref cpu, pointer);
    }

    /// <summary>What RSP holds once the stack pointer is moved.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Moved<TPort>(ref CpuState cpu, ulong pointer)
        where TPort : struct, IMemoryPort =>
        !TPort.IsSegmented ? pointer
        : Is32Bit(ref cpu) ? (uint)pointer
        : (cpu.Gpr[GeneralRegister.Rsp] & ~(ulong)ushort.MaxValue) | (ushort)pointer;

    /// <summary>Whether a stack segment is used with ESP.</summary>
    public static bool Is32Bit(ref CpuState cpu) => (cpu.Segments[SegmentIndex.Ss].Attributes & DescriptorBits.Default32) != 0;

    /// <summary>Pushes a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Push<TPort, T>(ref CpuState cpu, Vcpu vcpu, T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        ulong top = Pointer<TPort>(ref cpu) - (ulong)sizeof(T);
        if (!TPort.Write(ref cpu, vcpu, Address<TPort>(ref cpu, top), value))
        {
            return false;
        }

        SetPointer<TPort>(ref cpu, top);
        return true;
    }

    private static uint Masked(ref CpuState cpu, ulong pointer) => Is32Bit(ref cpu) ? (uint)pointer : (ushort)pointer;
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
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T value))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, top + (ulong)sizeof(T));
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
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T value))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, top + (ulong)sizeof(T));
        if (TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), value))
        {
            return true;
        }

        Stack.SetPointer<TPort>(ref cpu, top);
        return false;
    }
}

/// <summary>The privilege of PUSHF and POPF in virtual-8086 mode (SDM Vol. 3B, 22.2.8).</summary>
internal static class FlagsOnStack
{
    /// <summary>Whether IOPL allows them; false with #GP(0) recorded.</summary>
    public static bool Allowed(ref CpuState cpu, Vcpu vcpu) =>
        (cpu.SystemFlags & Rflags.VM) == 0 || (cpu.SystemFlags & Rflags.Iopl) == Rflags.Iopl || vcpu.RaiseGP(FaultRule.IoPermission);
}

/// <summary>PUSHF, PUSHFD and PUSHFQ: VM and RF are pushed as 0.</summary>
internal readonly struct PushFlags<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        FlagsOnStack.Allowed(ref cpu, vcpu) && Stack.Push<TPort, T>(ref cpu, vcpu, T.CreateTruncating(vcpu.Rflags & ~(Rflags.VM | Rflags.RF)));
}

/// <summary>POPF, POPFD and POPFQ: IOPL changes at CPL 0 only, IF where CPL is at most IOPL; RF is cleared, and at CPL 0 VIF and VIP.</summary>
internal readonly struct PopFlags<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!FlagsOnStack.Allowed(ref cpu, vcpu) || !TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T popped))
        {
            return vcpu.PendingExit;
        }

        ulong mask = Rflags.Status | Rflags.TF | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID;
        mask |= cpu.Cpl == 0 ? Rflags.Iopl : 0;
        mask |= cpu.Cpl <= (int)((cpu.SystemFlags & Rflags.Iopl) >> Rflags.IoplShift) ? Rflags.IF : 0;
        mask &= sizeof(T) == sizeof(ushort) ? ushort.MaxValue : ulong.MaxValue;
        ulong cleared = Rflags.RF | (cpu.Cpl == 0 && sizeof(T) != sizeof(ushort) ? Rflags.VIF | Rflags.VIP : 0);
        vcpu.Rflags = (vcpu.Rflags & ~(mask | cleared)) | (ulong.CreateTruncating(popped) & mask);
        Stack.SetPointer<TPort>(ref cpu, top + (ulong)sizeof(T));
        cpu.Rip = op.NextRip;
        return BlockExit.Branch;
    }
}
