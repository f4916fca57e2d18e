using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds SSE2 packed-integer arithmetic, logic and shifts.</summary>
internal static class SseIntegerBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Pand => Pure<PackedAnd>(i, ref op),
        Mnemonic.Pandn => Pure<PackedAndNot>(i, ref op),
        Mnemonic.Por => Pure<PackedOr>(i, ref op),
        Mnemonic.Pxor => Pure<PackedXor>(i, ref op),
        Mnemonic.Paddb => Pure<PackedAdd<byte>>(i, ref op),
        Mnemonic.Paddw => Pure<PackedAdd<ushort>>(i, ref op),
        Mnemonic.Paddd => Pure<PackedAdd<uint>>(i, ref op),
        Mnemonic.Paddq => Pure<PackedAdd<ulong>>(i, ref op),
        Mnemonic.Psubb => Pure<PackedSubtract<byte>>(i, ref op),
        Mnemonic.Psubw => Pure<PackedSubtract<ushort>>(i, ref op),
        Mnemonic.Psubd => Pure<PackedSubtract<uint>>(i, ref op),
        Mnemonic.Psubq => Pure<PackedSubtract<ulong>>(i, ref op),
        Mnemonic.Paddsb => Pure<PackedAddSaturated<sbyte>>(i, ref op),
        Mnemonic.Paddsw => Pure<PackedAddSaturated<short>>(i, ref op),
        Mnemonic.Paddusb => Pure<PackedAddSaturated<byte>>(i, ref op),
        Mnemonic.Paddusw => Pure<PackedAddSaturated<ushort>>(i, ref op),
        Mnemonic.Psubsb => Pure<PackedSubtractSaturated<sbyte>>(i, ref op),
        Mnemonic.Psubsw => Pure<PackedSubtractSaturated<short>>(i, ref op),
        Mnemonic.Psubusb => Pure<PackedSubtractSaturated<byte>>(i, ref op),
        Mnemonic.Psubusw => Pure<PackedSubtractSaturated<ushort>>(i, ref op),
        Mnemonic.Pminub => Pure<PackedMinimum<byte>>(i, ref op),
        Mnemonic.Pminsw => Pure<PackedMinimum<short>>(i, ref op),
        Mnemonic.Pmaxub => Pure<PackedMaximum<byte>>(i, ref op),
        Mnemonic.Pmaxsw => Pure<PackedMaximum<short>>(i, ref op),
        Mnemonic.Pcmpeqb => Pure<PackedEqual<byte>>(i, ref op),
        Mnemonic.Pcmpeqw => Pure<PackedEqual<ushort>>(i, ref op),
        Mnemonic.Pcmpeqd => Pure<PackedEqual<uint>>(i, ref op),
        Mnemonic.Pcmpgtb => Pure<PackedGreater<sbyte>>(i, ref op),
        Mnemonic.Pcmpgtw => Pure<PackedGreater<short>>(i, ref op),
        Mnemonic.Pcmpgtd => Pure<PackedGreater<int>>(i, ref op),
        Mnemonic.Pavgb => Pure<PackedAverage<byte>>(i, ref op),
        Mnemonic.Pavgw => Pure<PackedAverage<ushort>>(i, ref op),
        Mnemonic.Pmullw => Pure<PackedMultiplyLow>(i, ref op),
        Mnemonic.Pmulhw => Pure<PackedMultiplyHigh>(i, ref op),
        Mnemonic.Pmulhuw => Pure<PackedMultiplyHighUnsigned>(i, ref op),
        Mnemonic.Pmuludq => Pure<PackedMultiplyEven>(i, ref op),
        Mnemonic.Pmaddwd => Pure<PackedMultiplyAdd>(i, ref op),
        Mnemonic.Psadbw => Pure<PackedSumOfDifferences>(i, ref op),
        Mnemonic.Packsswb => Pure<PackSignedWords>(i, ref op),
        Mnemonic.Packssdw => Pure<PackSignedDoublewords>(i, ref op),
        Mnemonic.Packuswb => Pure<PackUnsignedWords>(i, ref op),
        Mnemonic.Psllw => Shift<PackedShiftLeft<ushort>>(i, ref op),
        Mnemonic.Pslld => Shift<PackedShiftLeft<uint>>(i, ref op),
        Mnemonic.Psllq => Shift<PackedShiftLeft<ulong>>(i, ref op),
        Mnemonic.Psrlw => Shift<PackedShiftRight<ushort>>(i, ref op),
        Mnemonic.Psrld => Shift<PackedShiftRight<uint>>(i, ref op),
        Mnemonic.Psrlq => Shift<PackedShiftRight<ulong>>(i, ref op),
        Mnemonic.Psraw => Shift<PackedShiftArithmetic<short>>(i, ref op),
        Mnemonic.Psrad => Shift<PackedShiftArithmetic<int>>(i, ref op),
        Mnemonic.Pslldq => OpBinder<TPort>.Straight<ShiftByImmediate<WholeShiftLeft>>(ref op),
        Mnemonic.Psrldq => OpBinder<TPort>.Straight<ShiftByImmediate<WholeShiftRight>>(ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Pure<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IPackedOperation => SseBinder<TPort>.Form<Packed<TOperation>>(i, ref op);

    private static BindKind Shift<TShift>(in Instruction i, ref Op op)
        where TShift : struct, IPackedShift =>
        i.Op1Kind is OpKind.Register or OpKind.Memory
            ? SseBinder<TPort>.Form<ShiftByVector<TShift>>(i, ref op)
            : OpBinder<TPort>.Straight<ShiftByImmediate<TShift>>(ref op);
}
