using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds loads and stores of segment registers.</summary>
internal static class SegmentBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        Register to = i.Op0Kind == OpKind.Register ? i.Op0Register : Register.None;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov when to.IsSegmentRegister():
                op.Dst = (ushort)(to - Register.ES);
                return to == Register.CS ? BindKind.Unsupported
                    : i.Op1Kind == OpKind.Register ? Load<MoveToSegment<WordFromRegister>>(ref op)
                    : Load<MoveToSegment<WordFromMemory>>(ref op);
            case Mnemonic.Mov when i.Op1Kind == OpKind.Register && i.Op1Register.IsSegmentRegister():
                op.Src = (ushort)(i.Op1Register - Register.ES);
                return Store(i, to, ref op);
            case Mnemonic.Pop when to.IsSegmentRegister():
                op.Dst = (ushort)(to - Register.ES);
                op.Flags |= OpFlags.ImplicitStack;
                return i.StackPointerIncrement switch
                {
                    sizeof(ushort) => Load<PopSegment<ushort>>(ref op),
                    sizeof(uint) => Load<PopSegment<uint>>(ref op),
                    _ => Load<PopSegment<ulong>>(ref op),
                };
            case Mnemonic.Lfs:
                return Far(i, ref op, SegmentIndex.Fs);
            case Mnemonic.Lgs:
                return Far(i, ref op, SegmentIndex.Gs);
            case Mnemonic.Lss:
                return Far(i, ref op, SegmentIndex.Ss);
            case Mnemonic.Les:
                return Far(i, ref op, SegmentIndex.Es);
            case Mnemonic.Lds:
                return Far(i, ref op, SegmentIndex.Ds);
            default:
                return BindKind.Unsupported;
        }
    }

    private static BindKind Load<TInstruction>(ref Op op)
        where TInstruction : struct, IInstruction =>
        op.Dst == SegmentIndex.Ss ? OpBinder<TPort>.Serializing<Serialized<TInstruction>>(ref op) : OpBinder<TPort>.Straight<TInstruction>(ref op);

    private static BindKind Store(in Instruction i, Register to, ref Op op)
    {
        if (to == Register.None)
        {
            return OpBinder<TPort>.Straight<MoveSegmentToMem>(ref op);
        }

        return to.GetSize() switch
        {
            2 => OpBinder<TPort>.Straight<MoveSegmentToReg<ushort>>(ref op),
            4 => OpBinder<TPort>.Straight<MoveSegmentToReg<uint>>(ref op),
            _ => OpBinder<TPort>.Straight<MoveSegmentToReg<ulong>>(ref op),
        };
    }

    private static BindKind Far(in Instruction i, ref Op op, int segment)
    {
        op.Immediate = (ulong)segment;
        return Operands.Width(i) switch
        {
            2 => OpBinder<TPort>.Straight<LoadFarPointer<ushort>>(ref op),
            4 => OpBinder<TPort>.Straight<LoadFarPointer<uint>>(ref op),
            _ => OpBinder<TPort>.Straight<LoadFarPointer<ulong>>(ref op),
        };
    }
}

/// <summary>The checks of a load into ES, SS, DS, FS or GS (SDM Vol. 2B, "MOV").</summary>
internal static class SegmentLoad
{
    /// <summary>Finds what the register will hold; false with the reason recorded and nothing changed but A of the descriptor.</summary>
    public static bool TryPrepare(Vcpu vcpu, int segment, ushort selector, out SegmentRegister register)
    {
        ref CpuState cpu = ref vcpu.State;
        int rpl = selector & 3;
        if (vcpu.IsRealOrVirtual8086)
        {
            register = CodeSegment.Real(ref cpu, segment, selector);
            return true;
        }

        register = new SegmentRegister { Selector = selector };
        if (DescriptorTables.IsNull(selector))
        {
            if (segment == SegmentIndex.Ss)
            {
                register.Attributes = (uint)cpu.Cpl << DescriptorBits.DplShift;
                return (vcpu.Is64BitMode && cpu.Cpl != 3 && rpl == cpu.Cpl) || vcpu.RaiseGP(FaultRule.NullSelector);
            }

            return true;
        }

        if (!DescriptorTables.TryRead(vcpu, selector, out SegmentDescriptor descriptor))
        {
            DescriptorTables.Refused(vcpu);
            return false;
        }

        if (!Check(vcpu, descriptor, segment, selector, cpu.Cpl, rpl))
        {
            return false;
        }

        if (!DescriptorTables.TryLoad(vcpu, descriptor, selector, out register))
        {
            DescriptorTables.Refused(vcpu);
            return false;
        }

        return true;
    }

    /// <summary>After MOV or POP to a segment register: SS keeps events away until its stack pointer is loaded too.</summary>
    public static void Loaded(Vcpu vcpu, int segment)
    {
        if (segment == SegmentIndex.Ss)
        {
            vcpu.StackSegmentLoaded();
        }
    }

    private static bool Check(Vcpu vcpu, in SegmentDescriptor descriptor, int segment, ushort selector, int cpl, int rpl)
    {
        uint error = ErrorCodes.Of(selector);
        bool stack = segment == SegmentIndex.Ss;
        if (stack ? !descriptor.IsWritableData : !descriptor.IsReadable)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        bool allowed = stack ? rpl == cpl && descriptor.Dpl == cpl : descriptor.IsConformingCode || descriptor.Dpl >= Math.Max(rpl, cpl);
        if (!allowed)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
        }

        ExceptionVector absent = stack ? ExceptionVector.StackFault : ExceptionVector.SegmentNotPresent;
        return descriptor.IsPresent || vcpu.Raise(absent, error, FaultRule.DescriptorNotPresent);
    }
}

/// <summary>MOV to a segment register.</summary>
internal readonly struct MoveToSegment<TSource> : IInstruction
    where TSource : struct, IWordSource
{
    /// <inheritdoc/>
    public static bool IsApart => true;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.TryGet<TPort>(ref cpu, ref op, vcpu, out ushort selector)
            || !SegmentLoad.TryPrepare(vcpu, op.Dst, selector, out SegmentRegister register))
        {
            return false;
        }

        cpu.Segments[op.Dst] = register;
        SegmentLoad.Loaded(vcpu, op.Dst);
        return true;
    }
}

/// <summary>MOV from a segment register to a general one, zero-extended.</summary>
internal readonly struct MoveSegmentToReg<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(cpu.Segments[op.Src].Selector));
        return true;
    }
}

/// <summary>MOV from a segment register to memory: 16 bits.</summary>
internal readonly struct MoveSegmentToMem : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), cpu.Segments[op.Src].Selector);
}

/// <summary>POP of a segment register.</summary>
internal readonly struct PopSegment<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong top = Stack.Pointer<TPort>(ref cpu);
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, top), out T popped)
            || !SegmentLoad.TryPrepare(vcpu, op.Dst, ushort.CreateTruncating(popped), out SegmentRegister register))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, top + (ulong)sizeof(T));
        cpu.Segments[op.Dst] = register;
        SegmentLoad.Loaded(vcpu, op.Dst);
        return true;
    }
}

/// <summary>LES, LDS, LFS, LGS and LSS: an offset of the operand size, then a selector.</summary>
internal readonly struct LoadFarPointer<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        int segment = (int)op.Immediate;
        if (!TPort.Read(ref cpu, vcpu, address, out T offset)
            || !TPort.Read(ref cpu, vcpu, address + (ulong)sizeof(T), out ushort selector)
            || !SegmentLoad.TryPrepare(vcpu, segment, selector, out SegmentRegister register))
        {
            return false;
        }

        cpu.Segments[segment] = register;
        CpuState.Set(ref cpu, op.Dst, offset);
        return true;
    }
}
