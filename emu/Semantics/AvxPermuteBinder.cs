using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds VEX-encoded shuffles, permutations, broadcasts, insertions and unpacking.</summary>
internal static class AvxPermuteBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vshufps => VexForm<TPort>.Shuffle<ShuffleSingles, SameControl>(i, ref op),
        Mnemonic.Vshufpd => VexForm<TPort>.Shuffle<ShuffleDoubles, NextTwoBits>(i, ref op),
        Mnemonic.Vpshufd => VexForm<TPort>.Shuffle<ShuffleDoublewords, SameControl>(i, ref op),
        Mnemonic.Vpshuflw => VexForm<TPort>.Shuffle<ShuffleLowWords, SameControl>(i, ref op),
        Mnemonic.Vpshufhw => VexForm<TPort>.Shuffle<ShuffleHighWords, SameControl>(i, ref op),
        Mnemonic.Vpblendd or Mnemonic.Vblendps => VexForm<TPort>.Shuffle<BlendDoublewords, NextFourBits>(i, ref op),
        Mnemonic.Vpermilps => ByVector(i)
            ? VexForm<TPort>.Packed<PermuteSinglesByVector>(i, ref op)
            : VexForm<TPort>.Shuffle<ShuffleDoublewords, SameControl>(i, ref op),
        Mnemonic.Vpermilpd => ByVector(i)
            ? VexForm<TPort>.Packed<PermuteDoublesByVector>(i, ref op)
            : VexForm<TPort>.Shuffle<PermuteDoubles, NextTwoBits>(i, ref op),
        Mnemonic.Vpermd or Mnemonic.Vpermps => Whole<PermuteDoublewordsVex>(i, ref op),
        Mnemonic.Vpermq or Mnemonic.Vpermpd => Whole<PermuteQuadwordsVex>(i, ref op),
        Mnemonic.Vperm2f128 or Mnemonic.Vperm2i128 => Whole<PermuteHalvesVex>(i, ref op),
        Mnemonic.Vinsertf128 or Mnemonic.Vinserti128 => VexForm<TPort>.Bind<InsertHalfVex, Vector128<byte>, Vector256<byte>>(i, ref op),
        Mnemonic.Vbroadcastf128 or Mnemonic.Vbroadcasti128 => VexForm<TPort>.Bind<BroadcastHalfVex, Vector128<byte>, Vector256<byte>>(i, ref op),
        Mnemonic.Vpbroadcastb => Broadcast<byte>(i, ref op),
        Mnemonic.Vpbroadcastw => Broadcast<ushort>(i, ref op),
        Mnemonic.Vpbroadcastd or Mnemonic.Vbroadcastss => Broadcast<uint>(i, ref op),
        Mnemonic.Vpbroadcastq or Mnemonic.Vbroadcastsd => Broadcast<ulong>(i, ref op),
        Mnemonic.Vmovddup when !VexForm<TPort>.IsWide(i) => Broadcast<ulong>(i, ref op),
        Mnemonic.Vmovddup => Duplicate(i, ref op, 0b01_00_01_00),
        Mnemonic.Vmovshdup => Duplicate(i, ref op, 0b11_11_01_01),
        Mnemonic.Vmovsldup => Duplicate(i, ref op, 0b10_10_00_00),
        Mnemonic.Vpinsrb => Insert<byte>(i, ref op),
        Mnemonic.Vpinsrw => Insert<ushort>(i, ref op),
        Mnemonic.Vpinsrd => Insert<uint>(i, ref op),
        Mnemonic.Vpinsrq => Insert<ulong>(i, ref op),
        Mnemonic.Vinsertps => InsertSingle(i, ref op),
        Mnemonic.Vpextrb => Extract<byte>(i, ref op),
        Mnemonic.Vpextrw => Extract<ushort>(i, ref op),
        Mnemonic.Vpextrd or Mnemonic.Vextractps => Extract<uint>(i, ref op),
        Mnemonic.Vpextrq => Extract<ulong>(i, ref op),
        Mnemonic.Vpalignr => VexForm<TPort>.Shuffle<AlignBytes, SameControl>(i, ref op),
        Mnemonic.Vpblendw => VexForm<TPort>.Shuffle<BlendWords, SameControl>(i, ref op),
        Mnemonic.Vblendpd => VexForm<TPort>.Shuffle<BlendQuadwords, NextTwoBits>(i, ref op),
        Mnemonic.Vpblendvb => VexForm<TPort>.Same<TernaryVex<BlendBySign<sbyte>>>(i, ref op),
        Mnemonic.Vblendvps => VexForm<TPort>.Same<TernaryVex<BlendBySign<int>>>(i, ref op),
        Mnemonic.Vblendvpd => VexForm<TPort>.Same<TernaryVex<BlendBySign<long>>>(i, ref op),
        Mnemonic.Vpshufb => VexForm<TPort>.Packed<ShuffleBytes>(i, ref op),
        Mnemonic.Vpunpcklbw => VexForm<TPort>.Packed<UnpackLowBytes>(i, ref op),
        Mnemonic.Vpunpckhbw => VexForm<TPort>.Packed<UnpackHighBytes>(i, ref op),
        Mnemonic.Vpunpcklwd => VexForm<TPort>.Packed<UnpackLowWords>(i, ref op),
        Mnemonic.Vpunpckhwd => VexForm<TPort>.Packed<UnpackHighWords>(i, ref op),
        Mnemonic.Vpunpckldq or Mnemonic.Vunpcklps => VexForm<TPort>.Packed<UnpackLowDoublewords>(i, ref op),
        Mnemonic.Vpunpckhdq or Mnemonic.Vunpckhps => VexForm<TPort>.Packed<UnpackHighDoublewords>(i, ref op),
        Mnemonic.Vpunpcklqdq or Mnemonic.Vunpcklpd => VexForm<TPort>.Packed<UnpackLowQuadwords>(i, ref op),
        Mnemonic.Vpunpckhqdq or Mnemonic.Vunpckhpd => VexForm<TPort>.Packed<UnpackHighQuadwords>(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static bool ByVector(in Instruction i) => !OperandLayout.IsImmediate(i.Op2Kind);

    private static BindKind Whole<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IVexOperation<Vector256<byte>, Vector256<byte>> =>
        VexForm<TPort>.Bind<TOperation, Vector256<byte>, Vector256<byte>>(i, ref op);

    private static BindKind Duplicate(in Instruction i, ref Op op, uint control)
    {
        op.Immediate = control;
        return VexForm<TPort>.Shuffle<ShuffleDoublewords, SameControl>(i, ref op);
    }

    private static BindKind Insert<T>(in Instruction i, ref Op op)
        where T : unmanaged => VexForm<TPort>.Bind<InsertElementVex<T>, T, Vector128<T>>(i, ref op);

    private static BindKind InsertSingle(in Instruction i, ref Op op)
    {
        BindKind kind = VexForm<TPort>.Bind<InsertSingleVex, uint, Vector128<byte>>(i, ref op);
        op.Src += i.Op2Kind == OpKind.Register ? LaneOffset<uint>(op.Immediate >> 6) : (ushort)0;
        return kind;
    }

    private static BindKind Extract<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        op.Src += LaneOffset<T>(op.Immediate);
        return i.Op0Kind == OpKind.Memory ? SseBinder<TPort>.Store<T, LowLane, False>(ref op) : OpBinder<TPort>.Straight<ExtractLane<T>>(ref op);
    }

    private static unsafe ushort LaneOffset<T>(ulong lane)
        where T : unmanaged => (ushort)(sizeof(T) * ((int)lane & (Vector128<T>.Count - 1)));

    private static BindKind Broadcast<T>(in Instruction i, ref Op op)
        where T : unmanaged => i.Op0Register.IsYMM()
            ? VexForm<TPort>.Bind<BroadcastVex<T>, T, Vector256<T>>(i, ref op)
            : VexForm<TPort>.Bind<BroadcastVex<T>, T, Vector128<T>>(i, ref op);
}
