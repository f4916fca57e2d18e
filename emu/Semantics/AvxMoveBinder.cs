using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds VEX-encoded moves: whole registers, single numbers, masked moves, gathers and control.</summary>
internal static class AvxMoveBinder<TPort>
    where TPort : struct, IMemoryPort
{
    private const int HalfBytes = 16;

    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Vmovaps or Mnemonic.Vmovapd or Mnemonic.Vmovdqa or Mnemonic.Vmovntps or Mnemonic.Vmovntpd or Mnemonic.Vmovntdq or Mnemonic.Vmovntdqa:
                return VexForm<TPort>.IsWide(i) ? Whole<Vector256<byte>, True>(i, ref op) : Whole<Vector128<byte>, True>(i, ref op);
            case Mnemonic.Vmovups or Mnemonic.Vmovupd or Mnemonic.Vmovdqu or Mnemonic.Vlddqu:
                return VexForm<TPort>.IsWide(i) ? Whole<Vector256<byte>, False>(i, ref op) : Whole<Vector128<byte>, False>(i, ref op);
            case Mnemonic.Vmovss:
                return Scalar<uint>(i, ref op);
            case Mnemonic.Vmovsd:
                return Scalar<ulong>(i, ref op);
            case Mnemonic.Vmovd:
                return Integer<uint>(i, ref op);
            case Mnemonic.Vmovq:
                return Integer<ulong>(i, ref op);
            case Mnemonic.Vmovlps or Mnemonic.Vmovlpd:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<ulong, LowLane, False>(ref op)
                    : VexForm<TPort>.Bind<ReplaceLowVex<ulong>, ulong, Vector128<ulong>>(i, ref op);
            case Mnemonic.Vmovhps or Mnemonic.Vmovhpd:
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<ulong, HighLane, False>(ref op)
                    : VexForm<TPort>.Bind<ReplaceHighVex, ulong, Vector128<ulong>>(i, ref op);
            case Mnemonic.Vmovlhps:
                return VexForm<TPort>.Bind<ReplaceHighVex, ulong, Vector128<ulong>>(i, ref op);
            case Mnemonic.Vmovhlps:
                BindKind kind = VexForm<TPort>.Bind<ReplaceLowVex<ulong>, ulong, Vector128<ulong>>(i, ref op);
                op.Src += sizeof(ulong);
                return kind;
            case Mnemonic.Vmovmskps:
                return SignMask<uint>(i, ref op);
            case Mnemonic.Vmovmskpd:
                return SignMask<ulong>(i, ref op);
            case Mnemonic.Vpmovmskb:
                return SignMask<byte>(i, ref op);
            case Mnemonic.Vextractf128 or Mnemonic.Vextracti128:
                op.Src += (ushort)((op.Immediate & 1) * HalfBytes);
                return i.Op0Kind == OpKind.Memory
                    ? SseBinder<TPort>.Store<Vector128<byte>, LowLane, False>(ref op)
                    : OpBinder<TPort>.Straight<Vex<MoveVex<Vector128<byte>>, Vector128<byte>, Vector128<byte>, SseRegister>>(ref op);
            case Mnemonic.Vmaskmovdqu:
                SseMoveBinder<TPort>.LayOutMaskedStore(i, ref op);
                return OpBinder<TPort>.Straight<SseMaskedStore>(ref op);
            case Mnemonic.Vldmxcsr:
                return OpBinder<TPort>.Straight<LoadMxcsr>(ref op);
            case Mnemonic.Vstmxcsr:
                return OpBinder<TPort>.Straight<StoreMxcsr>(ref op);
            case Mnemonic.Vzeroupper:
                return OpBinder<TPort>.Straight<ZeroVectors<False>>(ref op);
            case Mnemonic.Vzeroall:
                return OpBinder<TPort>.Straight<ZeroVectors<True>>(ref op);
            case Mnemonic.Vmaskmovps or Mnemonic.Vpmaskmovd:
                return Masked<uint>(i, ref op);
            case Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovq:
                return Masked<ulong>(i, ref op);
            default:
                return BindGather(i, ref op);
        }
    }

    private static BindKind Whole<T, TAligned>(in Instruction i, ref Op op)
        where T : unmanaged
        where TAligned : struct, IFlag
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return SseBinder<TPort>.Store<T, LowLane, TAligned>(ref op);
        }

        return TAligned.Value ? VexForm<TPort>.BindAligned<T>(i, ref op) : VexForm<TPort>.Bind<MoveVex<T>, T, T>(i, ref op);
    }

    private static BindKind Scalar<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return SseBinder<TPort>.Store<T, LowLane, False>(ref op);
        }

        return i.OpCount == 2
            ? VexForm<TPort>.Bind<LoadVex<T>, T, Vector128<T>>(i, ref op)
            : VexForm<TPort>.Bind<ReplaceLowVex<T>, T, Vector128<T>>(i, ref op);
    }

    private static BindKind Integer<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return SseBinder<TPort>.Store<T, LowLane, False>(ref op);
        }

        return i.Op0Register.IsXMM()
            ? VexForm<TPort>.Bind<LoadVex<T>, T, Vector128<T>>(i, ref op)
            : OpBinder<TPort>.Straight<SseToGeneral<T>>(ref op);
    }

    private static BindKind SignMask<T>(in Instruction i, ref Op op)
        where T : unmanaged => i.Op1Register.IsYMM()
            ? OpBinder<TPort>.Straight<WideSignMask<T>>(ref op)
            : OpBinder<TPort>.Straight<SseSignMask<T>>(ref op);

    private static BindKind Masked<T>(in Instruction i, ref Op op)
        where T : unmanaged => i.Op1Register.IsYMM() ? Masked<T, Vector256<byte>>(i, ref op) : Masked<T, Vector128<byte>>(i, ref op);

    private static BindKind Masked<T, TVector>(in Instruction i, ref Op op)
        where T : unmanaged
        where TVector : unmanaged
    {
        bool plain = Operands.Shape(op) == AddressShape.BaseDisplacement;
        if (i.Op0Kind == OpKind.Memory)
        {
            return plain
                ? OpBinder<TPort>.Straight<VexMaskedStore<T, TVector, BaseDisplacement>>(ref op)
                : OpBinder<TPort>.Straight<VexMaskedStore<T, TVector, AnyAddress>>(ref op);
        }

        return plain
            ? OpBinder<TPort>.Straight<VexMaskedLoad<T, TVector, BaseDisplacement>>(ref op)
            : OpBinder<TPort>.Straight<VexMaskedLoad<T, TVector, AnyAddress>>(ref op);
    }

    /// <summary>VEX.L is the width of the wider of destination and indices.</summary>
    private static BindKind BindGather(in Instruction i, ref Op op)
    {
        bool wide = i.Op0Register.IsYMM() || i.MemoryIndex.IsYMM();
        return i.Mnemonic switch
        {
            Mnemonic.Vpgatherdd or Mnemonic.Vgatherdps => Gather<int, uint>(wide, ref op),
            Mnemonic.Vpgatherdq or Mnemonic.Vgatherdpd => Gather<int, ulong>(wide, ref op),
            Mnemonic.Vpgatherqd or Mnemonic.Vgatherqps => Gather<long, uint>(wide, ref op),
            Mnemonic.Vpgatherqq or Mnemonic.Vgatherqpd => Gather<long, ulong>(wide, ref op),
            _ => BindKind.Unsupported,
        };
    }

    private static BindKind Gather<TIndex, T>(bool wide, ref Op op)
        where TIndex : unmanaged
        where T : unmanaged => wide
            ? OpBinder<TPort>.Straight<Gather<TIndex, T, Vector256<byte>>>(ref op)
            : OpBinder<TPort>.Straight<Gather<TIndex, T, Vector128<byte>>>(ref op);
}
