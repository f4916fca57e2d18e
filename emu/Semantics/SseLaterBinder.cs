using System.Numerics;
using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds SSE3 to SSE4.2, POPCNT, AES, PCLMULQDQ and SHA in their legacy encoding.</summary>
internal static class SseLaterBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Popcnt:
                return PopulationCount(i, ref op);
            case Mnemonic.Crc32:
                return Checksum(i, ref op);
        }

        BindKind kind = Float(i, ref op);
        if (kind == BindKind.Unsupported)
        {
            return kind;
        }

        if ((mode & BlockMode.SseUndefined) != 0)
        {
            op.Immediate = (ulong)FaultRule.SseDisabled;
            return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
        }

        return (mode & BlockMode.SseNotAvailable) != 0 ? OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op) : kind;
    }

    private static BindKind Float(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Addsubps => Combined<AddAndSubtract<float>, float>(i, ref op),
        Mnemonic.Addsubpd => Combined<AddAndSubtract<double>, double>(i, ref op),
        Mnemonic.Haddps => Combined<HorizontalFloat<FloatAdd, float>, float>(i, ref op),
        Mnemonic.Haddpd => Combined<HorizontalFloat<FloatAdd, double>, double>(i, ref op),
        Mnemonic.Hsubps => Combined<HorizontalFloat<FloatSubtract, float>, float>(i, ref op),
        Mnemonic.Hsubpd => Combined<HorizontalFloat<FloatSubtract, double>, double>(i, ref op),
        Mnemonic.Dpps => Combined<DotProduct<float>, float>(i, ref op),
        Mnemonic.Dppd => Combined<DotProduct<double>, double>(i, ref op),
        Mnemonic.Roundps => Combined<PackedRound<float>, float>(i, ref op),
        Mnemonic.Roundpd => Combined<PackedRound<double>, double>(i, ref op),
        Mnemonic.Roundss => SseBinder<TPort>.Form<ScalarRound<float>>(i, ref op),
        Mnemonic.Roundsd => SseBinder<TPort>.Form<ScalarRound<double>>(i, ref op),
        _ => Move(i, ref op),
    };

    private static BindKind Move(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Lddqu => SseBinder<TPort>.UnalignedForm<SseMove>(i, ref op),
        Mnemonic.Movntdqa => SseBinder<TPort>.Form<SseMove>(i, ref op),
        Mnemonic.Movddup => SseBinder<TPort>.Form<DuplicateLow>(i, ref op),
        Mnemonic.Movshdup => Duplicate(i, ref op, 0b11_11_01_01),
        Mnemonic.Movsldup => Duplicate(i, ref op, 0b10_10_00_00),
        Mnemonic.Pinsrb => Insert<byte>(i, ref op),
        Mnemonic.Pinsrd => Insert<uint>(i, ref op),
        Mnemonic.Pinsrq => Insert<ulong>(i, ref op),
        Mnemonic.Pextrb => Extract<byte>(i, ref op),
        Mnemonic.Pextrw => Extract<ushort>(i, ref op),
        Mnemonic.Pextrd or Mnemonic.Extractps => Extract<uint>(i, ref op),
        Mnemonic.Pextrq => Extract<ulong>(i, ref op),
        Mnemonic.Insertps => InsertSingle(i, ref op),
        Mnemonic.Pmovsxbw => Extend<ulong, ExtendSignedBytes>(i, ref op),
        Mnemonic.Pmovsxbd => Extend<uint, Then<ExtendSignedBytes, ExtendSignedWords>>(i, ref op),
        Mnemonic.Pmovsxbq => Extend<ushort, Then<ExtendSignedBytes, Then<ExtendSignedWords, ExtendSignedDoublewords>>>(i, ref op),
        Mnemonic.Pmovsxwd => Extend<ulong, ExtendSignedWords>(i, ref op),
        Mnemonic.Pmovsxwq => Extend<uint, Then<ExtendSignedWords, ExtendSignedDoublewords>>(i, ref op),
        Mnemonic.Pmovsxdq => Extend<ulong, ExtendSignedDoublewords>(i, ref op),
        Mnemonic.Pmovzxbw => Extend<ulong, ExtendBytes>(i, ref op),
        Mnemonic.Pmovzxbd => Extend<uint, Then<ExtendBytes, ExtendWords>>(i, ref op),
        Mnemonic.Pmovzxbq => Extend<ushort, Then<ExtendBytes, Then<ExtendWords, ExtendDoublewords>>>(i, ref op),
        Mnemonic.Pmovzxwd => Extend<ulong, ExtendWords>(i, ref op),
        Mnemonic.Pmovzxwq => Extend<uint, Then<ExtendWords, ExtendDoublewords>>(i, ref op),
        Mnemonic.Pmovzxdq => Extend<ulong, ExtendDoublewords>(i, ref op),
        _ => Shuffle(i, ref op),
    };

    private static BindKind Shuffle(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Palignr => Controlled<AlignBytes>(i, ref op),
        Mnemonic.Pblendw => Controlled<BlendWords>(i, ref op),
        Mnemonic.Blendps => Controlled<BlendDoublewords>(i, ref op),
        Mnemonic.Blendpd => Controlled<BlendQuadwords>(i, ref op),
        Mnemonic.Mpsadbw => Controlled<MultipleSumsOfDifferences>(i, ref op),
        Mnemonic.Pclmulqdq => Controlled<CarrylessMultiply>(i, ref op),
        Mnemonic.Aeskeygenassist => Controlled<AesKeyAssist>(i, ref op),
        Mnemonic.Sha1rnds4 => Controlled<Sha1Rounds>(i, ref op),
        Mnemonic.Pblendvb => SseBinder<TPort>.Form<PackedWithXmm0<BlendBySign<sbyte>>>(i, ref op),
        Mnemonic.Blendvps => SseBinder<TPort>.Form<PackedWithXmm0<BlendBySign<int>>>(i, ref op),
        Mnemonic.Blendvpd => SseBinder<TPort>.Form<PackedWithXmm0<BlendBySign<long>>>(i, ref op),
        Mnemonic.Sha256rnds2 => SseBinder<TPort>.Form<PackedWithXmm0<Sha256Rounds>>(i, ref op),
        Mnemonic.Ptest => SseBinder<TPort>.Form<PackedTest>(i, ref op),
        Mnemonic.Pcmpestri => Strings<ExplicitLengths<False>, MatchIndex>(i, ref op),
        Mnemonic.Pcmpestri64 => Strings<ExplicitLengths<True>, MatchIndex>(i, ref op),
        Mnemonic.Pcmpestrm => Strings<ExplicitLengths<False>, MatchMask>(i, ref op),
        Mnemonic.Pcmpestrm64 => Strings<ExplicitLengths<True>, MatchMask>(i, ref op),
        Mnemonic.Pcmpistri => Strings<ImplicitLengths, MatchIndex>(i, ref op),
        Mnemonic.Pcmpistrm => Strings<ImplicitLengths, MatchMask>(i, ref op),
        _ => SseLaterIntegerBinder<TPort>.Bind(i, ref op),
    };

    private static BindKind Combined<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, ICombinedFloat<T>
        where T : unmanaged => SseBinder<TPort>.Form<CombinedFloat<TOperation, T>>(i, ref op);

    private static BindKind Controlled<TShuffle>(in Instruction i, ref Op op)
        where TShuffle : struct, IShuffle => SseBinder<TPort>.Form<Shuffled<TShuffle>>(i, ref op);

    private static BindKind Strings<TLengths, TOutput>(in Instruction i, ref Op op)
        where TLengths : struct, IStringLengths
        where TOutput : struct, IStringOutput => SseBinder<TPort>.UnalignedForm<PackedStringCompare<TLengths, TOutput>>(i, ref op);

    private static BindKind Duplicate(in Instruction i, ref Op op, uint control)
    {
        op.Immediate = control;
        return Controlled<ShuffleDoublewords>(i, ref op);
    }

    private static BindKind Extend<TBits, TExtension>(in Instruction i, ref Op op)
        where TBits : unmanaged
        where TExtension : struct, IExtension => SseBinder<TPort>.Form<Extend<TBits, TExtension>>(i, ref op);

    private static unsafe BindKind Insert<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        op.Dst += LaneOffset<T>(op.Immediate);
        return SseBinder<TPort>.Form<InsertLane<T>>(i, ref op);
    }

    private static BindKind InsertSingle(in Instruction i, ref Op op)
    {
        op.Src += i.Op1Kind == OpKind.Register ? LaneOffset<uint>(op.Immediate >> 6) : (ushort)0;
        return SseBinder<TPort>.Form<InsertSingle>(i, ref op);
    }

    private static unsafe BindKind Extract<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        op.Src += LaneOffset<T>(op.Immediate);
        return i.Op0Kind == OpKind.Memory ? SseBinder<TPort>.Store<T, LowLane, False>(ref op) : OpBinder<TPort>.Straight<ExtractLane<T>>(ref op);
    }

    private static unsafe ushort LaneOffset<T>(ulong lane)
        where T : unmanaged => (ushort)(sizeof(T) * ((int)lane & (Vector128<T>.Count - 1)));

    private static BindKind PopulationCount(in Instruction i, ref Op op) => Operands.Width(i) switch
    {
        2 => PopulationCount<ushort>(i, ref op),
        4 => PopulationCount<uint>(i, ref op),
        _ => PopulationCount<ulong>(i, ref op),
    };

    private static BindKind PopulationCount<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => i.Op1Kind == OpKind.Memory
            ? OpBinder<TPort>.Straight<PopulationCount<T, SourceMemory>>(ref op)
            : OpBinder<TPort>.Straight<PopulationCount<T, SourceRegister>>(ref op);

    private static BindKind Checksum(in Instruction i, ref Op op) => Operands.Width(i, 1) switch
    {
        1 => Checksum<byte>(i, ref op),
        2 => Checksum<ushort>(i, ref op),
        4 => Checksum<uint>(i, ref op),
        _ => Checksum<ulong>(i, ref op),
    };

    private static BindKind Checksum<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => i.Op1Kind == OpKind.Memory
            ? OpBinder<TPort>.Straight<Checksum<T, SourceMemory>>(ref op)
            : OpBinder<TPort>.Straight<Checksum<T, SourceRegister>>(ref op);
}
