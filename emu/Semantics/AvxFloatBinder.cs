using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds VEX-encoded floating-point arithmetic, comparisons and conversions.</summary>
internal static class AvxFloatBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vaddss or Mnemonic.Vaddsd or Mnemonic.Vaddps or Mnemonic.Vaddpd => Arithmetic<FloatAdd>(i, ref op),
        Mnemonic.Vsubss or Mnemonic.Vsubsd or Mnemonic.Vsubps or Mnemonic.Vsubpd => Arithmetic<FloatSubtract>(i, ref op),
        Mnemonic.Vmulss or Mnemonic.Vmulsd or Mnemonic.Vmulps or Mnemonic.Vmulpd => Arithmetic<FloatMultiply>(i, ref op),
        Mnemonic.Vdivss or Mnemonic.Vdivsd or Mnemonic.Vdivps or Mnemonic.Vdivpd => Arithmetic<FloatDivide>(i, ref op),
        Mnemonic.Vsqrtss or Mnemonic.Vsqrtsd or Mnemonic.Vsqrtps or Mnemonic.Vsqrtpd => Arithmetic<FloatSquareRoot>(i, ref op),
        Mnemonic.Vminss or Mnemonic.Vminsd or Mnemonic.Vminps or Mnemonic.Vminpd => Arithmetic<FloatMinimum>(i, ref op),
        Mnemonic.Vmaxss or Mnemonic.Vmaxsd or Mnemonic.Vmaxps or Mnemonic.Vmaxpd => Arithmetic<FloatMaximum>(i, ref op),
        Mnemonic.Vcmpss => VexForm<TPort>.Bind<CompareVex<float>, float, Vector128<float>>(i, ref op),
        Mnemonic.Vcmpsd => VexForm<TPort>.Bind<CompareVex<double>, double, Vector128<double>>(i, ref op),
        Mnemonic.Vcmpps => VexForm<TPort>.Same<CompareVex<float>, float>(i, ref op),
        Mnemonic.Vcmppd => VexForm<TPort>.Same<CompareVex<double>, double>(i, ref op),
        Mnemonic.Vrcpss => VexForm<TPort>.Bind<ReciprocalVex<Reciprocal>, float, Vector128<float>>(i, ref op),
        Mnemonic.Vrsqrtss => VexForm<TPort>.Bind<ReciprocalVex<ReciprocalRoot>, float, Vector128<float>>(i, ref op),
        Mnemonic.Vrcpps => VexForm<TPort>.Same<ReciprocalVex<Reciprocal>, float>(i, ref op),
        Mnemonic.Vrsqrtps => VexForm<TPort>.Same<ReciprocalVex<ReciprocalRoot>, float>(i, ref op),
        Mnemonic.Vcomiss => SseBinder<TPort>.Form<FloatCompareToFlags<float, True>>(i, ref op),
        Mnemonic.Vcomisd => SseBinder<TPort>.Form<FloatCompareToFlags<double, True>>(i, ref op),
        Mnemonic.Vucomiss => SseBinder<TPort>.Form<FloatCompareToFlags<float, False>>(i, ref op),
        Mnemonic.Vucomisd => SseBinder<TPort>.Form<FloatCompareToFlags<double, False>>(i, ref op),
        Mnemonic.Vaddsubps => VexForm<TPort>.Same<CombinedVex<AddAndSubtract<float>, float>, float>(i, ref op),
        Mnemonic.Vaddsubpd => VexForm<TPort>.Same<CombinedVex<AddAndSubtract<double>, double>, double>(i, ref op),
        Mnemonic.Vhaddps => VexForm<TPort>.Same<CombinedVex<HorizontalFloat<FloatAdd, float>, float>, float>(i, ref op),
        Mnemonic.Vhaddpd => VexForm<TPort>.Same<CombinedVex<HorizontalFloat<FloatAdd, double>, double>, double>(i, ref op),
        Mnemonic.Vhsubps => VexForm<TPort>.Same<CombinedVex<HorizontalFloat<FloatSubtract, float>, float>, float>(i, ref op),
        Mnemonic.Vhsubpd => VexForm<TPort>.Same<CombinedVex<HorizontalFloat<FloatSubtract, double>, double>, double>(i, ref op),
        Mnemonic.Vdpps => VexForm<TPort>.Same<CombinedVex<DotProduct<float>, float>, float>(i, ref op),
        Mnemonic.Vdppd => VexForm<TPort>.Same<CombinedVex<DotProduct<double>, double>, double>(i, ref op),
        Mnemonic.Vroundps => VexForm<TPort>.Same<CombinedVex<PackedRound<float>, float>, float>(i, ref op),
        Mnemonic.Vroundpd => VexForm<TPort>.Same<CombinedVex<PackedRound<double>, double>, double>(i, ref op),
        Mnemonic.Vroundss => VexForm<TPort>.Bind<RoundLowVex<float>, float, Vector128<float>>(i, ref op),
        Mnemonic.Vroundsd => VexForm<TPort>.Bind<RoundLowVex<double>, double, Vector128<double>>(i, ref op),
        Mnemonic.Vptest => Test<AllBits>(i, ref op),
        Mnemonic.Vtestps => Test<SingleSigns>(i, ref op),
        Mnemonic.Vtestpd => Test<DoubleSigns>(i, ref op),
        _ => Convert(i, ref op),
    };

    private static BindKind Arithmetic<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IFloatOperation => i.Mnemonic switch
        {
            Mnemonic.Vaddss or Mnemonic.Vsubss or Mnemonic.Vmulss or Mnemonic.Vdivss or Mnemonic.Vsqrtss or Mnemonic.Vminss or Mnemonic.Vmaxss =>
                VexForm<TPort>.Bind<FloatVex<TOperation, float>, float, Vector128<float>>(i, ref op),
            Mnemonic.Vaddsd or Mnemonic.Vsubsd or Mnemonic.Vmulsd or Mnemonic.Vdivsd or Mnemonic.Vsqrtsd or Mnemonic.Vminsd or Mnemonic.Vmaxsd =>
                VexForm<TPort>.Bind<FloatVex<TOperation, double>, double, Vector128<double>>(i, ref op),
            Mnemonic.Vaddps or Mnemonic.Vsubps or Mnemonic.Vmulps or Mnemonic.Vdivps or Mnemonic.Vsqrtps or Mnemonic.Vminps or Mnemonic.Vmaxps =>
                VexForm<TPort>.Same<FloatVex<TOperation, float>, float>(i, ref op),
            _ => VexForm<TPort>.Same<FloatVex<TOperation, double>, double>(i, ref op),
        };

    private static BindKind Test<TBits>(in Instruction i, ref Op op)
        where TBits : struct, ITestedBits => i.Op0Register.IsYMM()
            ? SseBinder<TPort>.UnalignedForm<VectorTest<TBits, Vector256<ulong>>>(i, ref op)
            : SseBinder<TPort>.UnalignedForm<VectorTest<TBits, Vector128<ulong>>>(i, ref op);

    private static BindKind Convert(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vcvtss2sd => Low<FormatConversion<float, double>, float, double>(i, ref op),
        Mnemonic.Vcvtsd2ss => Low<FormatConversion<double, float>, double, float>(i, ref op),
        Mnemonic.Vcvtsi2ss => FromGeneral<float>(i, ref op),
        Mnemonic.Vcvtsi2sd => FromGeneral<double>(i, ref op),
        Mnemonic.Vcvtss2si => ToGeneral<float, False>(i, ref op),
        Mnemonic.Vcvttss2si => ToGeneral<float, True>(i, ref op),
        Mnemonic.Vcvtsd2si => ToGeneral<double, False>(i, ref op),
        Mnemonic.Vcvttsd2si => ToGeneral<double, True>(i, ref op),
        Mnemonic.Vcvtps2pd => Widening<FormatConversion<float, double>, float, double>(i, ref op),
        Mnemonic.Vcvtdq2pd => Widening<FromIntegerConversion<int, double>, int, double>(i, ref op),
        Mnemonic.Vcvtph2ps => Widening<FromHalfConversion, Half, float>(i, ref op),
        Mnemonic.Vcvtpd2ps => Narrowing<FormatConversion<double, float>, double, float>(i, ref op),
        Mnemonic.Vcvtpd2dq => Narrowing<ToIntegerConversion<double, int, False>, double, int>(i, ref op),
        Mnemonic.Vcvttpd2dq => Narrowing<ToIntegerConversion<double, int, True>, double, int>(i, ref op),
        Mnemonic.Vcvtdq2ps => Even<FromIntegerConversion<int, float>, int, float>(i, ref op),
        Mnemonic.Vcvtps2dq => Even<ToIntegerConversion<float, int, False>, float, int>(i, ref op),
        Mnemonic.Vcvttps2dq => Even<ToIntegerConversion<float, int, True>, float, int>(i, ref op),
        Mnemonic.Vcvtps2ph => ToHalf(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Low<TConversion, TFrom, TTo>(in Instruction i, ref Op op)
        where TConversion : struct, IConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => VexForm<TPort>.Bind<ConvertLowVex<TConversion, TFrom, TTo>, TFrom, Vector128<TTo>>(i, ref op);

    private static BindKind FromGeneral<T>(in Instruction i, ref Op op)
        where T : unmanaged => Operands.Width(i, 2) == sizeof(uint)
            ? Low<FromIntegerConversion<int, T>, int, T>(i, ref op)
            : Low<FromIntegerConversion<long, T>, long, T>(i, ref op);

    private static BindKind ToGeneral<T, TTruncates>(in Instruction i, ref Op op)
        where T : unmanaged
        where TTruncates : struct, IFlag => Operands.Width(i) == sizeof(uint)
            ? SseBinder<TPort>.Form<ScalarConvertToGeneral<T, int, ToIntegerConversion<T, int, TTruncates>>>(i, ref op)
            : SseBinder<TPort>.Form<ScalarConvertToGeneral<T, long, ToIntegerConversion<T, long, TTruncates>>>(i, ref op);

    /// <summary>To numbers twice as wide: half of the source is read.</summary>
    private static BindKind Widening<TConversion, TFrom, TTo>(in Instruction i, ref Op op)
        where TConversion : struct, IConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => i.Op0Register.IsYMM()
            ? VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, Vector128<TFrom>, Vector256<TTo>>(i, ref op)
            : VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, ulong, Vector128<TTo>>(i, ref op);

    /// <summary>To numbers half as wide. Only the size of memory tells the width where there is no register.</summary>
    private static BindKind Narrowing<TConversion, TFrom, TTo>(in Instruction i, ref Op op)
        where TConversion : struct, IConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => Operands.Width(i, 1) == Vector256<byte>.Count
            ? VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, Vector256<TFrom>, Vector128<TTo>>(i, ref op)
            : VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, Vector128<TFrom>, Vector128<TTo>>(i, ref op);

    private static BindKind Even<TConversion, TFrom, TTo>(in Instruction i, ref Op op)
        where TConversion : struct, IConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => i.Op0Register.IsYMM()
            ? VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, Vector256<TFrom>, Vector256<TTo>>(i, ref op)
            : VexForm<TPort>.Bind<ConvertVex<TConversion, TFrom, TTo>, Vector128<TFrom>, Vector128<TTo>>(i, ref op);

    private static BindKind ToHalf(in Instruction i, ref Op op)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return i.Op1Register.IsYMM() ? StoreHalf<Vector256<float>>(ref op) : StoreHalf<Vector128<float>>(ref op);
        }

        return i.Op1Register.IsYMM()
            ? VexForm<TPort>.Bind<ToHalfVex, Vector256<float>, Vector128<ushort>>(i, ref op)
            : VexForm<TPort>.Bind<ToHalfVex, Vector128<float>, Vector128<ushort>>(i, ref op);
    }

    private static BindKind StoreHalf<TVector>(ref Op op)
        where TVector : unmanaged => Operands.Shape(op) switch
        {
            AddressShape.BaseDisplacement => OpBinder<TPort>.Straight<StoreHalf<TVector, BaseDisplacement>>(ref op),
            AddressShape.BaseIndex => OpBinder<TPort>.Straight<StoreHalf<TVector, BaseIndex>>(ref op),
            _ => OpBinder<TPort>.Straight<StoreHalf<TVector, AnyAddress>>(ref op),
        };
}
