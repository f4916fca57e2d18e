using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds SSE moves, shuffles and control instructions.</summary>
internal static class SseMoveBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Movaps or Mnemonic.Movapd or Mnemonic.Movdqa or Mnemonic.Movntps or Mnemonic.Movntpd or Mnemonic.Movntdq:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<Vector128<byte>, LowLane, True>(ref op)
                    : SseBinder<TPort>.Form<SseMove>(i, ref op);
            case Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<Vector128<byte>, LowLane, False>(ref op)
                    : SseBinder<TPort>.UnalignedForm<SseMove>(i, ref op);
            case Mnemonic.Movss:
                return Scalar<uint>(i, ref op);
            case Mnemonic.Movsd:
                return Scalar<ulong>(i, ref op);
            case Mnemonic.Movd:
                return Integer<uint>(i, ref op);
            case Mnemonic.Movq:
                return Integer<ulong>(i, ref op);
            case Mnemonic.Movlps or Mnemonic.Movlpd:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<ulong, LowLane, False>(ref op)
                    : SseBinder<TPort>.Form<SseMoveLane<ulong, LowLane, LowLane>>(i, ref op);
            case Mnemonic.Movhps or Mnemonic.Movhpd:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<ulong, HighLane, False>(ref op)
                    : SseBinder<TPort>.Form<SseMoveLane<ulong, HighLane, LowLane>>(i, ref op);
            case Mnemonic.Movlhps:
                return SseBinder<TPort>.Form<SseMoveLane<ulong, HighLane, LowLane>>(i, ref op);
            case Mnemonic.Movhlps:
                return SseBinder<TPort>.Form<SseMoveLane<ulong, LowLane, HighLane>>(i, ref op);
            case Mnemonic.Movmskps:
                return OpBinder<TPort>.Straight<SseSignMask<uint>>(ref op);
            case Mnemonic.Movmskpd:
                return OpBinder<TPort>.Straight<SseSignMask<ulong>>(ref op);
            case Mnemonic.Pmovmskb:
                return OpBinder<TPort>.Straight<SseSignMask<byte>>(ref op);
            case Mnemonic.Maskmovdqu:
                LayOutMaskedStore(i, ref op);
                return OpBinder<TPort>.Straight<SseMaskedStore>(ref op);
            case Mnemonic.Ldmxcsr:
                return OpBinder<TPort>.Straight<LoadMxcsr>(ref op);
            case Mnemonic.Stmxcsr:
                return OpBinder<TPort>.Straight<StoreMxcsr>(ref op);
            default:
                return Shuffle(i, ref op);
        }
    }

    private static BindKind Scalar<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return SseBinder<TPort>.Store<T, LowLane, False>(ref op);
        }

        return i.Op1Kind == OpKind.Memory
            ? SseBinder<TPort>.Form<SseLoad<T>>(i, ref op)
            : SseBinder<TPort>.Form<SseMoveLane<T, LowLane, LowLane>>(i, ref op);
    }

    private static BindKind Integer<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return SseBinder<TPort>.Store<T, LowLane, False>(ref op);
        }

        return i.Op0Register.IsXMM()
            ? SseBinder<TPort>.Form<SseLoad<T>>(i, ref op)
            : OpBinder<TPort>.Straight<SseToGeneral<T>>(ref op);
    }

    /// <summary>MASKMOVDQU and MASKMOVQ name memory by RDI alone, as their first operand.</summary>
    public static void LayOutMaskedStore(in Instruction i, ref Op op)
    {
        op.Base = OperandLayout.OffsetOf(Register.RDI);
        op.Segment = (byte)(i.MemorySegment - Register.ES);
        op.Flags |= i.Op0Kind switch
        {
            OpKind.MemorySegEDI => OpFlags.Address32,
            OpKind.MemorySegDI => OpFlags.Address16,
            _ => OpFlags.None,
        };
        op.Flags |= op.Segment == SegmentIndex.Ss ? OpFlags.Stack : 0;
        op.Dst = OperandLayout.OffsetOf(i.Op1Register);
        op.Src = OperandLayout.OffsetOf(i.Op2Register);
    }

    private static BindKind Shuffle(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Shufps => SseBinder<TPort>.Form<Shuffled<ShuffleSingles>>(i, ref op),
        Mnemonic.Shufpd => SseBinder<TPort>.Form<Shuffled<ShuffleDoubles>>(i, ref op),
        Mnemonic.Pshufd => SseBinder<TPort>.Form<Shuffled<ShuffleDoublewords>>(i, ref op),
        Mnemonic.Pshuflw => SseBinder<TPort>.Form<Shuffled<ShuffleLowWords>>(i, ref op),
        Mnemonic.Pshufhw => SseBinder<TPort>.Form<Shuffled<ShuffleHighWords>>(i, ref op),
        Mnemonic.Punpcklbw => SseBinder<TPort>.Form<Packed<UnpackLowBytes>>(i, ref op),
        Mnemonic.Punpckhbw => SseBinder<TPort>.Form<Packed<UnpackHighBytes>>(i, ref op),
        Mnemonic.Punpcklwd => SseBinder<TPort>.Form<Packed<UnpackLowWords>>(i, ref op),
        Mnemonic.Punpckhwd => SseBinder<TPort>.Form<Packed<UnpackHighWords>>(i, ref op),
        Mnemonic.Punpckldq or Mnemonic.Unpcklps => SseBinder<TPort>.Form<Packed<UnpackLowDoublewords>>(i, ref op),
        Mnemonic.Punpckhdq or Mnemonic.Unpckhps => SseBinder<TPort>.Form<Packed<UnpackHighDoublewords>>(i, ref op),
        Mnemonic.Punpcklqdq or Mnemonic.Unpcklpd => SseBinder<TPort>.Form<Packed<UnpackLowQuadwords>>(i, ref op),
        Mnemonic.Punpckhqdq or Mnemonic.Unpckhpd => SseBinder<TPort>.Form<Packed<UnpackHighQuadwords>>(i, ref op),
        Mnemonic.Pinsrw => SseBinder<TPort>.Form<InsertWord>(i, ref op),
        Mnemonic.Pextrw => OpBinder<TPort>.Straight<ExtractWord>(ref op),
        _ => SseFloatBinder<TPort>.Bind(i, ref op),
    };
}
