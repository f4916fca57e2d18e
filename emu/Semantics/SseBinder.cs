using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds SSE and SSE2, FXSAVE and FXRSTOR; forms with MMX registers are left out.</summary>
internal static class SseBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Movnti:
                return i.Op1Register.IsGPR64() ? Store<ulong, LowLane, False>(ref op) : Store<uint, LowLane, False>(ref op);
            case Mnemonic.Clflush:
                return OpBinder<TPort>.Straight<CacheLineFlush>(ref op);
            case Mnemonic.Fxsave:
                return OpBinder<TPort>.Straight<FxSave<False>>(ref op);
            case Mnemonic.Fxsave64:
                return OpBinder<TPort>.Straight<FxSave<True>>(ref op);
            case Mnemonic.Fxrstor:
                return OpBinder<TPort>.Straight<FxRestore<False>>(ref op);
            case Mnemonic.Fxrstor64:
                return OpBinder<TPort>.Straight<FxRestore<True>>(ref op);
        }

        if (i.Encoding != EncodingKind.Legacy || NamesMmx(i) || !IsSse(i))
        {
            return BindKind.Unsupported;
        }

        if ((mode & BlockMode.SseUndefined) != 0)
        {
            op.Immediate = (ulong)FaultRule.SseDisabled;
            return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
        }

        return (mode & BlockMode.SseNotAvailable) != 0
            ? OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op)
            : SseMoveBinder<TPort>.Bind(i, ref op);
    }

    /// <summary>Binds a form by where the source is; 16 bytes of memory must be aligned.</summary>
    public static BindKind Form<TForm>(in Instruction i, ref Op op)
        where TForm : struct, ISseForm
    {
        if (i.Op1Kind == OpKind.Register)
        {
            return OpBinder<TPort>.Straight<Sse<TForm, SseRegister>>(ref op);
        }

        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<Sse<TForm, SseMemory<BaseDisplacement>>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<Sse<TForm, SseMemory<BaseIndex>>>(ref op),
            _ => OpBinder<TPort>.Straight<Sse<TForm, SseMemory<AnyAddress>>>(ref op),
        };
    }

    /// <summary>As <see cref="Form"/>, for the loads that take any address.</summary>
    public static BindKind UnalignedForm<TForm>(in Instruction i, ref Op op)
        where TForm : struct, ISseForm
    {
        if (i.Op1Kind == OpKind.Register)
        {
            return OpBinder<TPort>.Straight<Sse<TForm, SseRegister>>(ref op);
        }

        return Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<Sse<TForm, SseUnaligned<BaseDisplacement>>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<Sse<TForm, SseUnaligned<BaseIndex>>>(ref op),
            _ => OpBinder<TPort>.Straight<Sse<TForm, SseUnaligned<AnyAddress>>>(ref op),
        };
    }

    /// <summary>Binds a store of a register's low end or upper half.</summary>
    public static BindKind Store<T, TLane, TAligned>(ref Op op)
        where T : unmanaged
        where TLane : struct, ISseLane
        where TAligned : struct, IFlag => Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<SseStore<T, BaseDisplacement, TLane, TAligned>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<SseStore<T, BaseIndex, TLane, TAligned>>(ref op),
            _ => OpBinder<TPort>.Straight<SseStore<T, AnyAddress, TLane, TAligned>>(ref op),
        };

    private static bool IsSse(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            if (feature is CpuidFeature.SSE or CpuidFeature.SSE2)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an operand is an MMX register.</summary>
    public static bool NamesMmx(in Instruction i)
    {
        for (int operand = 0; operand < i.OpCount; operand++)
        {
            if (i.GetOpKind(operand) == OpKind.Register && i.GetOpRegister(operand).IsMM())
            {
                return true;
            }
        }

        return false;
    }
}
