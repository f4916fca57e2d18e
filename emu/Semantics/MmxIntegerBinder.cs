using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds packed-integer arithmetic, logic, shifts and packing on MMX registers.</summary>
internal static class MmxIntegerBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Pand => Packed<PackedAnd>(i, ref op),
        Mnemonic.Pandn => Packed<PackedAndNot>(i, ref op),
        Mnemonic.Por => Packed<PackedOr>(i, ref op),
        Mnemonic.Pxor => Packed<PackedXor>(i, ref op),
        Mnemonic.Paddb => Packed<PackedAdd<byte>>(i, ref op),
        Mnemonic.Paddw => Packed<PackedAdd<ushort>>(i, ref op),
        Mnemonic.Paddd => Packed<PackedAdd<uint>>(i, ref op),
        Mnemonic.Paddq => Packed<PackedAdd<ulong>>(i, ref op),
        Mnemonic.Psubb => Packed<PackedSubtract<byte>>(i, ref op),
        Mnemonic.Psubw => Packed<PackedSubtract<ushort>>(i, ref op),
        Mnemonic.Psubd => Packed<PackedSubtract<uint>>(i, ref op),
        Mnemonic.Psubq => Packed<PackedSubtract<ulong>>(i, ref op),
        Mnemonic.Paddsb => Packed<PackedAddSaturated<sbyte>>(i, ref op),
        Mnemonic.Paddsw => Packed<PackedAddSaturated<short>>(i, ref op),
        Mnemonic.Paddusb => Packed<PackedAddSaturated<byte>>(i, ref op),
        Mnemonic.Paddusw => Packed<PackedAddSaturated<ushort>>(i, ref op),
        Mnemonic.Psubsb => Packed<PackedSubtractSaturated<sbyte>>(i, ref op),
        Mnemonic.Psubsw => Packed<PackedSubtractSaturated<short>>(i, ref op),
        Mnemonic.Psubusb => Packed<PackedSubtractSaturated<byte>>(i, ref op),
        Mnemonic.Psubusw => Packed<PackedSubtractSaturated<ushort>>(i, ref op),
        Mnemonic.Pminub => Packed<PackedMinimum<byte>>(i, ref op),
        Mnemonic.Pminsw => Packed<PackedMinimum<short>>(i, ref op),
        Mnemonic.Pmaxub => Packed<PackedMaximum<byte>>(i, ref op),
        Mnemonic.Pmaxsw => Packed<PackedMaximum<short>>(i, ref op),
        Mnemonic.Pcmpeqb => Packed<PackedEqual<byte>>(i, ref op),
        Mnemonic.Pcmpeqw => Packed<PackedEqual<ushort>>(i, ref op),
        Mnemonic.Pcmpeqd => Packed<PackedEqual<uint>>(i, ref op),
        Mnemonic.Pcmpgtb => Packed<PackedGreater<sbyte>>(i, ref op),
        Mnemonic.Pcmpgtw => Packed<PackedGreater<short>>(i, ref op),
        Mnemonic.Pcmpgtd => Packed<PackedGreater<int>>(i, ref op),
        Mnemonic.Pavgb => Packed<PackedAverage<byte>>(i, ref op),
        Mnemonic.Pavgw => Packed<PackedAverage<ushort>>(i, ref op),
        Mnemonic.Pmullw => Packed<PackedMultiplyLow>(i, ref op),
        Mnemonic.Pmulhw => Packed<PackedMultiplyHigh>(i, ref op),
        Mnemonic.Pmulhuw => Packed<PackedMultiplyHighUnsigned>(i, ref op),
        Mnemonic.Pmuludq => Packed<PackedMultiplyEven>(i, ref op),
        Mnemonic.Pmaddwd => Packed<PackedMultiplyAdd>(i, ref op),
        Mnemonic.Psadbw => Packed<PackedSumOfDifferences>(i, ref op),
        Mnemonic.Packsswb => Joined<PackSignedWords>(i, ref op),
        Mnemonic.Packssdw => Joined<PackSignedDoublewords>(i, ref op),
        Mnemonic.Packuswb => Joined<PackUnsignedWords>(i, ref op),
        Mnemonic.Punpcklbw => MmxBinder<TPort>.Form<MmxUnpackLow<UnpackLowBytes>>(i, ref op),
        Mnemonic.Punpcklwd => MmxBinder<TPort>.Form<MmxUnpackLow<UnpackLowWords>>(i, ref op),
        Mnemonic.Punpckldq => MmxBinder<TPort>.Form<MmxUnpackLow<UnpackLowDoublewords>>(i, ref op),
        Mnemonic.Punpckhbw => MmxBinder<TPort>.Form<MmxUnpackHigh<UnpackLowBytes>>(i, ref op),
        Mnemonic.Punpckhwd => MmxBinder<TPort>.Form<MmxUnpackHigh<UnpackLowWords>>(i, ref op),
        Mnemonic.Punpckhdq => MmxBinder<TPort>.Form<MmxUnpackHigh<UnpackLowDoublewords>>(i, ref op),
        Mnemonic.Psllw => Shift<PackedShiftLeft<ushort>>(i, ref op),
        Mnemonic.Pslld => Shift<PackedShiftLeft<uint>>(i, ref op),
        Mnemonic.Psllq => Shift<PackedShiftLeft<ulong>>(i, ref op),
        Mnemonic.Psrlw => Shift<PackedShiftRight<ushort>>(i, ref op),
        Mnemonic.Psrld => Shift<PackedShiftRight<uint>>(i, ref op),
        Mnemonic.Psrlq => Shift<PackedShiftRight<ulong>>(i, ref op),
        Mnemonic.Psraw => Shift<PackedShiftArithmetic<short>>(i, ref op),
        Mnemonic.Psrad => Shift<PackedShiftArithmetic<int>>(i, ref op),
        _ => Later(i, ref op),
    };

    /// <summary>SSSE3.</summary>
    private static BindKind Later(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Pshufb => Packed<MmxShuffleBytes>(i, ref op),
        Mnemonic.Phaddw => Joined<HorizontalWords<PackedAdd<ushort>>>(i, ref op),
        Mnemonic.Phaddd => Joined<HorizontalDoublewords<PackedAdd<uint>>>(i, ref op),
        Mnemonic.Phaddsw => Joined<HorizontalWords<PackedAddSaturated<short>>>(i, ref op),
        Mnemonic.Phsubw => Joined<HorizontalWords<PackedSubtract<ushort>>>(i, ref op),
        Mnemonic.Phsubd => Joined<HorizontalDoublewords<PackedSubtract<uint>>>(i, ref op),
        Mnemonic.Phsubsw => Joined<HorizontalWords<PackedSubtractSaturated<short>>>(i, ref op),
        Mnemonic.Pmaddubsw => Packed<PackedMultiplyAddBytes>(i, ref op),
        Mnemonic.Pmulhrsw => Packed<PackedMultiplyRounded>(i, ref op),
        Mnemonic.Psignb => Packed<PackedSign<sbyte>>(i, ref op),
        Mnemonic.Psignw => Packed<PackedSign<short>>(i, ref op),
        Mnemonic.Psignd => Packed<PackedSign<int>>(i, ref op),
        Mnemonic.Pabsb => Packed<PackedAbsolute<sbyte>>(i, ref op),
        Mnemonic.Pabsw => Packed<PackedAbsolute<short>>(i, ref op),
        Mnemonic.Pabsd => Packed<PackedAbsolute<int>>(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Packed<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IPackedOperation => MmxBinder<TPort>.Form<MmxPacked<TOperation>>(i, ref op);

    private static BindKind Joined<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IPackedOperation => MmxBinder<TPort>.Form<MmxJoined<TOperation>>(i, ref op);

    private static BindKind Shift<TShift>(in Instruction i, ref Op op)
        where TShift : struct, IPackedShift =>
        i.Op1Kind is OpKind.Register or OpKind.Memory
            ? MmxBinder<TPort>.Form<MmxShift<TShift>>(i, ref op)
            : OpBinder<TPort>.Straight<Mmx<MmxShiftByImmediate<TShift>, True>>(ref op);
}
