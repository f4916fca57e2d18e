using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds SSE floating-point arithmetic, comparisons and conversions.</summary>
internal static class SseFloatBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Addss or Mnemonic.Addsd or Mnemonic.Addps or Mnemonic.Addpd => Arithmetic<FloatAdd>(i, ref op),
        Mnemonic.Subss or Mnemonic.Subsd or Mnemonic.Subps or Mnemonic.Subpd => Arithmetic<FloatSubtract>(i, ref op),
        Mnemonic.Mulss or Mnemonic.Mulsd or Mnemonic.Mulps or Mnemonic.Mulpd => Arithmetic<FloatMultiply>(i, ref op),
        Mnemonic.Divss or Mnemonic.Divsd or Mnemonic.Divps or Mnemonic.Divpd => Arithmetic<FloatDivide>(i, ref op),
        Mnemonic.Sqrtss or Mnemonic.Sqrtsd or Mnemonic.Sqrtps or Mnemonic.Sqrtpd => Arithmetic<FloatSquareRoot>(i, ref op),
        Mnemonic.Minss or Mnemonic.Minsd or Mnemonic.Minps or Mnemonic.Minpd => Arithmetic<FloatMinimum>(i, ref op),
        Mnemonic.Maxss or Mnemonic.Maxsd or Mnemonic.Maxps or Mnemonic.Maxpd => Arithmetic<FloatMaximum>(i, ref op),
        Mnemonic.Andps or Mnemonic.Andpd => SseBinder<TPort>.Form<Packed<PackedAnd>>(i, ref op),
        Mnemonic.Andnps or Mnemonic.Andnpd => SseBinder<TPort>.Form<Packed<PackedAndNot>>(i, ref op),
        Mnemonic.Orps or Mnemonic.Orpd => SseBinder<TPort>.Form<Packed<PackedOr>>(i, ref op),
        Mnemonic.Xorps or Mnemonic.Xorpd => SseBinder<TPort>.Form<Packed<PackedXor>>(i, ref op),
        Mnemonic.Rcpss => SseBinder<TPort>.Form<ScalarReciprocal<Reciprocal>>(i, ref op),
        Mnemonic.Rcpps => SseBinder<TPort>.Form<PackedReciprocal<Reciprocal>>(i, ref op),
        Mnemonic.Rsqrtss => SseBinder<TPort>.Form<ScalarReciprocal<ReciprocalRoot>>(i, ref op),
        Mnemonic.Rsqrtps => SseBinder<TPort>.Form<PackedReciprocal<ReciprocalRoot>>(i, ref op),
        Mnemonic.Cmpss => SseBinder<TPort>.Form<ScalarFloatCompare<float>>(i, ref op),
        Mnemonic.Cmpsd => SseBinder<TPort>.Form<ScalarFloatCompare<double>>(i, ref op),
        Mnemonic.Cmpps => SseBinder<TPort>.Form<PackedFloatCompare<float>>(i, ref op),
        Mnemonic.Cmppd => SseBinder<TPort>.Form<PackedFloatCompare<double>>(i, ref op),
        Mnemonic.Comiss => SseBinder<TPort>.Form<FloatCompareToFlags<float, True>>(i, ref op),
        Mnemonic.Comisd => SseBinder<TPort>.Form<FloatCompareToFlags<double, True>>(i, ref op),
        Mnemonic.Ucomiss => SseBinder<TPort>.Form<FloatCompareToFlags<float, False>>(i, ref op),
        Mnemonic.Ucomisd => SseBinder<TPort>.Form<FloatCompareToFlags<double, False>>(i, ref op),
        _ => Convert(i, ref op),
    };

    private static BindKind Arithmetic<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IFloatOperation => i.Mnemonic switch
        {
            Mnemonic.Addss or Mnemonic.Subss or Mnemonic.Mulss or Mnemonic.Divss or Mnemonic.Sqrtss or Mnemonic.Minss or Mnemonic.Maxss =>
                SseBinder<TPort>.Form<ScalarFloat<TOperation, float>>(i, ref op),
            Mnemonic.Addsd or Mnemonic.Subsd or Mnemonic.Mulsd or Mnemonic.Divsd or Mnemonic.Sqrtsd or Mnemonic.Minsd or Mnemonic.Maxsd =>
                SseBinder<TPort>.Form<ScalarFloat<TOperation, double>>(i, ref op),
            Mnemonic.Addps or Mnemonic.Subps or Mnemonic.Mulps or Mnemonic.Divps or Mnemonic.Sqrtps or Mnemonic.Minps or Mnemonic.Maxps =>
                SseBinder<TPort>.Form<PackedFloat<TOperation, float>>(i, ref op),
            _ => SseBinder<TPort>.Form<PackedFloat<TOperation, double>>(i, ref op),
        };

    private static BindKind Convert(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Cvtss2sd => SseBinder<TPort>.Form<ScalarConvert<float, double, FormatConversion<float, double>>>(i, ref op),
        Mnemonic.Cvtsd2ss => SseBinder<TPort>.Form<ScalarConvert<double, float, FormatConversion<double, float>>>(i, ref op),
        Mnemonic.Cvtps2pd => SseBinder<TPort>.Form<PackedConvert<float, double, FormatConversion<float, double>>>(i, ref op),
        Mnemonic.Cvtpd2ps => SseBinder<TPort>.Form<PackedConvert<double, float, FormatConversion<double, float>>>(i, ref op),
        Mnemonic.Cvtsi2ss => FromGeneral<float>(i, ref op),
        Mnemonic.Cvtsi2sd => FromGeneral<double>(i, ref op),
        Mnemonic.Cvtdq2ps => SseBinder<TPort>.Form<PackedConvert<int, float, FromIntegerConversion<int, float>>>(i, ref op),
        Mnemonic.Cvtdq2pd => SseBinder<TPort>.Form<PackedConvert<int, double, FromIntegerConversion<int, double>>>(i, ref op),
        Mnemonic.Cvtss2si => ToGeneral<float, False>(i, ref op),
        Mnemonic.Cvttss2si => ToGeneral<float, True>(i, ref op),
        Mnemonic.Cvtsd2si => ToGeneral<double, False>(i, ref op),
        Mnemonic.Cvttsd2si => ToGeneral<double, True>(i, ref op),
        Mnemonic.Cvtps2dq => ToPacked<float, False>(i, ref op),
        Mnemonic.Cvttps2dq => ToPacked<float, True>(i, ref op),
        Mnemonic.Cvtpd2dq => ToPacked<double, False>(i, ref op),
        Mnemonic.Cvttpd2dq => ToPacked<double, True>(i, ref op),
        _ => SseIntegerBinder<TPort>.Bind(i, ref op),
    };

    private static BindKind FromGeneral<T>(in Instruction i, ref Op op)
        where T : unmanaged => Operands.Width(i, 1) == sizeof(uint)
            ? SseBinder<TPort>.Form<ScalarConvert<int, T, FromIntegerConversion<int, T>>>(i, ref op)
            : SseBinder<TPort>.Form<ScalarConvert<long, T, FromIntegerConversion<long, T>>>(i, ref op);

    private static BindKind ToGeneral<T, TTruncates>(in Instruction i, ref Op op)
        where T : unmanaged
        where TTruncates : struct, IFlag => Operands.Width(i) == sizeof(uint)
            ? SseBinder<TPort>.Form<ScalarConvertToGeneral<T, int, ToIntegerConversion<T, int, TTruncates>>>(i, ref op)
            : SseBinder<TPort>.Form<ScalarConvertToGeneral<T, long, ToIntegerConversion<T, long, TTruncates>>>(i, ref op);

    private static BindKind ToPacked<T, TTruncates>(in Instruction i, ref Op op)
        where T : unmanaged
        where TTruncates : struct, IFlag =>
        SseBinder<TPort>.Form<PackedConvert<T, int, ToIntegerConversion<T, int, TTruncates>>>(i, ref op);
}
