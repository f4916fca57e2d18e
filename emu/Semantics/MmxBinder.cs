using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds MMX, and the SSE instructions on MMX registers.</summary>
internal static class MmxBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        if (i.Mnemonic is not (Mnemonic.Emms or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd) && !SseBinder<TPort>.NamesMmx(i))
        {
            return BindKind.Unsupported;
        }

        if ((mode & BlockMode.X87Emulated) != 0)
        {
            op.Immediate = (ulong)FaultRule.MmxDisabled;
            return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
        }

        if ((mode & BlockMode.SseUndefined) != 0 && UsesVectorUnit(i.Mnemonic))
        {
            op.Immediate = (ulong)FaultRule.SseDisabled;
            return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
        }

        return (mode & BlockMode.SseNotAvailable) != 0
            ? OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op)
            : Move(i, ref op);
    }

    private static BindKind Move(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Emms => OpBinder<TPort>.Straight<MmxEmpty>(ref op),
        Mnemonic.Movd => Move<uint>(i, ref op),
        Mnemonic.Movq or Mnemonic.Movntq => Move<ulong>(i, ref op),
        Mnemonic.Movdq2q => Form<MmxLoad<ulong>>(i, ref op),
        Mnemonic.Movq2dq => FromRegister<SseLoad<ulong>>(ref op),
        Mnemonic.Maskmovq => MaskedStore(i, ref op),
        Mnemonic.Pmovmskb => OpBinder<TPort>.Straight<Mmx<MmxSignMask, False>>(ref op),
        Mnemonic.Pinsrw => Word<InsertWord>(i, ref op),
        Mnemonic.Pextrw => ExtractWord(ref op),
        Mnemonic.Pshufw => Form<MmxShuffleWords>(i, ref op),
        Mnemonic.Palignr => Form<MmxAlign>(i, ref op),
        Mnemonic.Cvtpi2ps => ToFloats<MmxToSingles>(i, ref op),
        Mnemonic.Cvtpi2pd => ToFloats<PackedConvert<int, double, FromIntegerConversion<int, double>>>(i, ref op),
        Mnemonic.Cvtps2pi => Form<MmxFromFloats<float, False>>(i, ref op),
        Mnemonic.Cvttps2pi => Form<MmxFromFloats<float, True>>(i, ref op),
        Mnemonic.Cvtpd2pi => Form<MmxFromFloats<double, False>>(i, ref op),
        Mnemonic.Cvttpd2pi => Form<MmxFromFloats<double, True>>(i, ref op),
        _ => MmxIntegerBinder<TPort>.Bind(i, ref op),
    };

    /// <summary>Binds a form whose destination is an MMX register.</summary>
    public static BindKind Form<TForm>(in Instruction i, ref Op op)
        where TForm : struct, ISseForm => i.Op1Kind == OpKind.Memory
            ? OpBinder<TPort>.Straight<Mmx<Sse<TForm, SseMemory<AnyAddress>>, True>>(ref op)
            : OpBinder<TPort>.Straight<Mmx<Sse<TForm, SseRegister>, True>>(ref op);

    /// <summary>Binds a form from an MMX register to elsewhere.</summary>
    private static BindKind FromRegister<TForm>(ref Op op)
        where TForm : struct, ISseForm => OpBinder<TPort>.Straight<Mmx<Sse<TForm, SseRegister>, False>>(ref op);

    private static BindKind Move<T>(in Instruction i, ref Op op)
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return OpBinder<TPort>.Straight<Mmx<SseStore<T, AnyAddress, LowLane, False>, False>>(ref op);
        }

        return i.Op0Register.IsMM() ? Form<MmxLoad<T>>(i, ref op) : OpBinder<TPort>.Straight<Mmx<SseToGeneral<T>, False>>(ref op);
    }

    // From memory the x87 unit has no part in it: the SDM says so of CVTPI2PD only, processors do so with CVTPI2PS too.
    private static BindKind ToFloats<TForm>(in Instruction i, ref Op op)
        where TForm : struct, ISseForm =>
        i.Op1Kind == OpKind.Memory ? SseBinder<TPort>.Form<TForm>(i, ref op) : FromRegister<TForm>(ref op);

    private static BindKind Word<TForm>(in Instruction i, ref Op op)
        where TForm : struct, ISseForm
    {
        op.Immediate &= 3;
        return Form<TForm>(i, ref op);
    }

    private static BindKind ExtractWord(ref Op op)
    {
        op.Immediate &= 3;
        return OpBinder<TPort>.Straight<Mmx<ExtractWord, False>>(ref op);
    }

    private static BindKind MaskedStore(in Instruction i, ref Op op)
    {
        SseMoveBinder<TPort>.LayOutMaskedStore(i, ref op);
        return OpBinder<TPort>.Straight<Mmx<MmxMaskedStore, False>>(ref op);
    }

    private static bool UsesVectorUnit(Mnemonic mnemonic) => mnemonic is Mnemonic.Movdq2q or Mnemonic.Movq2dq or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd
        or Mnemonic.Cvtps2pi or Mnemonic.Cvttps2pi or Mnemonic.Cvtpd2pi or Mnemonic.Cvttpd2pi;
}
