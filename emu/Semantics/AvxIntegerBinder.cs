using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds VEX-encoded packed-integer arithmetic, logic and shifts.</summary>
internal static class AvxIntegerBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vpand or Mnemonic.Vandps or Mnemonic.Vandpd => VexForm<TPort>.Wide<PackedAnd>(i, ref op),
        Mnemonic.Vpandn or Mnemonic.Vandnps or Mnemonic.Vandnpd => VexForm<TPort>.Wide<PackedAndNot>(i, ref op),
        Mnemonic.Vpor or Mnemonic.Vorps or Mnemonic.Vorpd => VexForm<TPort>.Wide<PackedOr>(i, ref op),
        Mnemonic.Vpxor or Mnemonic.Vxorps or Mnemonic.Vxorpd => VexForm<TPort>.Wide<PackedXor>(i, ref op),
        Mnemonic.Vpaddb => VexForm<TPort>.Wide<PackedAdd<byte>>(i, ref op),
        Mnemonic.Vpaddw => VexForm<TPort>.Wide<PackedAdd<ushort>>(i, ref op),
        Mnemonic.Vpaddd => VexForm<TPort>.Wide<PackedAdd<uint>>(i, ref op),
        Mnemonic.Vpaddq => VexForm<TPort>.Wide<PackedAdd<ulong>>(i, ref op),
        Mnemonic.Vpsubb => VexForm<TPort>.Wide<PackedSubtract<byte>>(i, ref op),
        Mnemonic.Vpsubw => VexForm<TPort>.Wide<PackedSubtract<ushort>>(i, ref op),
        Mnemonic.Vpsubd => VexForm<TPort>.Wide<PackedSubtract<uint>>(i, ref op),
        Mnemonic.Vpsubq => VexForm<TPort>.Wide<PackedSubtract<ulong>>(i, ref op),
        Mnemonic.Vpaddsb => VexForm<TPort>.Wide<PackedAddSaturated<sbyte>>(i, ref op),
        Mnemonic.Vpaddsw => VexForm<TPort>.Wide<PackedAddSaturated<short>>(i, ref op),
        Mnemonic.Vpaddusb => VexForm<TPort>.Wide<PackedAddSaturated<byte>>(i, ref op),
        Mnemonic.Vpaddusw => VexForm<TPort>.Wide<PackedAddSaturated<ushort>>(i, ref op),
        Mnemonic.Vpsubsb => VexForm<TPort>.Wide<PackedSubtractSaturated<sbyte>>(i, ref op),
        Mnemonic.Vpsubsw => VexForm<TPort>.Wide<PackedSubtractSaturated<short>>(i, ref op),
        Mnemonic.Vpsubusb => VexForm<TPort>.Wide<PackedSubtractSaturated<byte>>(i, ref op),
        Mnemonic.Vpsubusw => VexForm<TPort>.Wide<PackedSubtractSaturated<ushort>>(i, ref op),
        Mnemonic.Vpminub => VexForm<TPort>.Wide<PackedMinimum<byte>>(i, ref op),
        Mnemonic.Vpminuw => VexForm<TPort>.Wide<PackedMinimum<ushort>>(i, ref op),
        Mnemonic.Vpminud => VexForm<TPort>.Wide<PackedMinimum<uint>>(i, ref op),
        Mnemonic.Vpminsb => VexForm<TPort>.Wide<PackedMinimum<sbyte>>(i, ref op),
        Mnemonic.Vpminsw => VexForm<TPort>.Wide<PackedMinimum<short>>(i, ref op),
        Mnemonic.Vpminsd => VexForm<TPort>.Wide<PackedMinimum<int>>(i, ref op),
        Mnemonic.Vpmaxub => VexForm<TPort>.Wide<PackedMaximum<byte>>(i, ref op),
        Mnemonic.Vpmaxuw => VexForm<TPort>.Wide<PackedMaximum<ushort>>(i, ref op),
        Mnemonic.Vpmaxud => VexForm<TPort>.Wide<PackedMaximum<uint>>(i, ref op),
        Mnemonic.Vpmaxsb => VexForm<TPort>.Wide<PackedMaximum<sbyte>>(i, ref op),
        Mnemonic.Vpmaxsw => VexForm<TPort>.Wide<PackedMaximum<short>>(i, ref op),
        Mnemonic.Vpmaxsd => VexForm<TPort>.Wide<PackedMaximum<int>>(i, ref op),
        Mnemonic.Vpcmpeqb => VexForm<TPort>.Wide<PackedEqual<byte>>(i, ref op),
        Mnemonic.Vpcmpeqw => VexForm<TPort>.Wide<PackedEqual<ushort>>(i, ref op),
        Mnemonic.Vpcmpeqd => VexForm<TPort>.Wide<PackedEqual<uint>>(i, ref op),
        Mnemonic.Vpcmpeqq => VexForm<TPort>.Wide<PackedEqual<ulong>>(i, ref op),
        Mnemonic.Vpcmpgtb => VexForm<TPort>.Wide<PackedGreater<sbyte>>(i, ref op),
        Mnemonic.Vpcmpgtw => VexForm<TPort>.Wide<PackedGreater<short>>(i, ref op),
        Mnemonic.Vpcmpgtd => VexForm<TPort>.Wide<PackedGreater<int>>(i, ref op),
        Mnemonic.Vpcmpgtq => VexForm<TPort>.Wide<PackedGreater<long>>(i, ref op),
        Mnemonic.Vpavgb => VexForm<TPort>.Wide<PackedAverage<byte>>(i, ref op),
        Mnemonic.Vpavgw => VexForm<TPort>.Wide<PackedAverage<ushort>>(i, ref op),
        Mnemonic.Vpmullw => VexForm<TPort>.Wide<PackedMultiplyLow>(i, ref op),
        Mnemonic.Vpmulhw => VexForm<TPort>.Packed<PackedMultiplyHigh>(i, ref op),
        Mnemonic.Vpmulhuw => VexForm<TPort>.Packed<PackedMultiplyHighUnsigned>(i, ref op),
        Mnemonic.Vpmuludq => VexForm<TPort>.Wide<PackedMultiplyEven>(i, ref op),
        Mnemonic.Vpmaddwd => VexForm<TPort>.Wide<PackedMultiplyAdd>(i, ref op),
        Mnemonic.Vpsadbw => VexForm<TPort>.Packed<PackedSumOfDifferences>(i, ref op),
        Mnemonic.Vpacksswb => VexForm<TPort>.Packed<PackSignedWords>(i, ref op),
        Mnemonic.Vpackssdw => VexForm<TPort>.Packed<PackSignedDoublewords>(i, ref op),
        Mnemonic.Vpackuswb => VexForm<TPort>.Packed<PackUnsignedWords>(i, ref op),
        Mnemonic.Vphaddw => VexForm<TPort>.Packed<HorizontalWords<PackedAdd<ushort>>>(i, ref op),
        Mnemonic.Vphaddd => VexForm<TPort>.Packed<HorizontalDoublewords<PackedAdd<uint>>>(i, ref op),
        Mnemonic.Vphaddsw => VexForm<TPort>.Packed<HorizontalWords<PackedAddSaturated<short>>>(i, ref op),
        Mnemonic.Vphsubw => VexForm<TPort>.Packed<HorizontalWords<PackedSubtract<ushort>>>(i, ref op),
        Mnemonic.Vphsubd => VexForm<TPort>.Packed<HorizontalDoublewords<PackedSubtract<uint>>>(i, ref op),
        Mnemonic.Vphsubsw => VexForm<TPort>.Packed<HorizontalWords<PackedSubtractSaturated<short>>>(i, ref op),
        Mnemonic.Vpmaddubsw => VexForm<TPort>.Packed<PackedMultiplyAddBytes>(i, ref op),
        Mnemonic.Vpmulhrsw => VexForm<TPort>.Packed<PackedMultiplyRounded>(i, ref op),
        Mnemonic.Vpsignb => VexForm<TPort>.Packed<PackedSign<sbyte>>(i, ref op),
        Mnemonic.Vpsignw => VexForm<TPort>.Packed<PackedSign<short>>(i, ref op),
        Mnemonic.Vpsignd => VexForm<TPort>.Packed<PackedSign<int>>(i, ref op),
        Mnemonic.Vpabsb => VexForm<TPort>.Packed<PackedAbsolute<sbyte>>(i, ref op),
        Mnemonic.Vpabsw => VexForm<TPort>.Packed<PackedAbsolute<short>>(i, ref op),
        Mnemonic.Vpabsd => VexForm<TPort>.Packed<PackedAbsolute<int>>(i, ref op),
        Mnemonic.Vpackusdw => VexForm<TPort>.Packed<PackUnsignedDoublewords>(i, ref op),
        Mnemonic.Vphminposuw => VexForm<TPort>.Packed<MinimumWordAndPosition>(i, ref op),
        Mnemonic.Vpmuldq => VexForm<TPort>.Packed<PackedMultiplyEvenSigned>(i, ref op),
        Mnemonic.Vpmulld => VexForm<TPort>.Packed<PackedMultiplyLowDoublewords>(i, ref op),
        Mnemonic.Vmpsadbw => VexForm<TPort>.Shuffle<MultipleSumsOfDifferences, NextThreeBits>(i, ref op),
        Mnemonic.Vpsllw => Shift<PackedShiftLeft<ushort>>(i, ref op),
        Mnemonic.Vpslld => Shift<PackedShiftLeft<uint>>(i, ref op),
        Mnemonic.Vpsllq => Shift<PackedShiftLeft<ulong>>(i, ref op),
        Mnemonic.Vpsrlw => Shift<PackedShiftRight<ushort>>(i, ref op),
        Mnemonic.Vpsrld => Shift<PackedShiftRight<uint>>(i, ref op),
        Mnemonic.Vpsrlq => Shift<PackedShiftRight<ulong>>(i, ref op),
        Mnemonic.Vpsraw => Shift<PackedShiftArithmetic<short>>(i, ref op),
        Mnemonic.Vpsrad => Shift<PackedShiftArithmetic<int>>(i, ref op),
        Mnemonic.Vpslldq => Shift<WholeShiftLeft>(i, ref op),
        Mnemonic.Vpsrldq => Shift<WholeShiftRight>(i, ref op),
        Mnemonic.Vpsllvd => VexForm<TPort>.Wide<VariableShiftLeft<uint>>(i, ref op),
        Mnemonic.Vpsllvq => VexForm<TPort>.Wide<VariableShiftLeft<ulong>>(i, ref op),
        Mnemonic.Vpsrlvd => VexForm<TPort>.Wide<VariableShiftRight<uint>>(i, ref op),
        Mnemonic.Vpsrlvq => VexForm<TPort>.Wide<VariableShiftRight<ulong>>(i, ref op),
        Mnemonic.Vpsravd => VexForm<TPort>.Wide<VariableShiftArithmetic>(i, ref op),
        _ => Extend(i, ref op),
    };

    private static BindKind Extend(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vpmovsxbw => Extend<ulong, UInt128, ExtendSignedBytes>(i, ref op),
        Mnemonic.Vpmovsxbd => Extend<uint, ulong, Then<ExtendSignedBytes, ExtendSignedWords>>(i, ref op),
        Mnemonic.Vpmovsxbq => Extend<ushort, uint, Then<ExtendSignedBytes, Then<ExtendSignedWords, ExtendSignedDoublewords>>>(i, ref op),
        Mnemonic.Vpmovsxwd => Extend<ulong, UInt128, ExtendSignedWords>(i, ref op),
        Mnemonic.Vpmovsxwq => Extend<uint, ulong, Then<ExtendSignedWords, ExtendSignedDoublewords>>(i, ref op),
        Mnemonic.Vpmovsxdq => Extend<ulong, UInt128, ExtendSignedDoublewords>(i, ref op),
        Mnemonic.Vpmovzxbw => Extend<ulong, UInt128, ExtendBytes>(i, ref op),
        Mnemonic.Vpmovzxbd => Extend<uint, ulong, Then<ExtendBytes, ExtendWords>>(i, ref op),
        Mnemonic.Vpmovzxbq => Extend<ushort, uint, Then<ExtendBytes, Then<ExtendWords, ExtendDoublewords>>>(i, ref op),
        Mnemonic.Vpmovzxwd => Extend<ulong, UInt128, ExtendWords>(i, ref op),
        Mnemonic.Vpmovzxwq => Extend<uint, ulong, Then<ExtendWords, ExtendDoublewords>>(i, ref op),
        Mnemonic.Vpmovzxdq => Extend<ulong, UInt128, ExtendDoublewords>(i, ref op),
        _ => Ciphers(i, ref op),
    };

    private static BindKind Ciphers(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vaesenc => VexForm<TPort>.Packed<AesEncrypt>(i, ref op),
        Mnemonic.Vaesenclast => VexForm<TPort>.Packed<AesEncryptLast>(i, ref op),
        Mnemonic.Vaesdec => VexForm<TPort>.Packed<AesDecrypt>(i, ref op),
        Mnemonic.Vaesdeclast => VexForm<TPort>.Packed<AesDecryptLast>(i, ref op),
        Mnemonic.Vaesimc => VexForm<TPort>.Packed<AesInverseMix>(i, ref op),
        Mnemonic.Vaeskeygenassist => VexForm<TPort>.Shuffle<AesKeyAssist, SameControl>(i, ref op),
        Mnemonic.Vpclmulqdq => VexForm<TPort>.Shuffle<CarrylessMultiply, SameControl>(i, ref op),
        Mnemonic.Vpcmpestri => Strings<ExplicitLengths<False>, MatchIndex>(i, ref op),
        Mnemonic.Vpcmpestri64 => Strings<ExplicitLengths<True>, MatchIndex>(i, ref op),
        Mnemonic.Vpcmpestrm => Strings<ExplicitLengths<False>, MatchMaskVex>(i, ref op),
        Mnemonic.Vpcmpestrm64 => Strings<ExplicitLengths<True>, MatchMaskVex>(i, ref op),
        Mnemonic.Vpcmpistri => Strings<ImplicitLengths, MatchIndex>(i, ref op),
        Mnemonic.Vpcmpistrm => Strings<ImplicitLengths, MatchMaskVex>(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Strings<TLengths, TOutput>(in Instruction i, ref Op op)
        where TLengths : struct, IStringLengths
        where TOutput : struct, IStringOutput => SseBinder<TPort>.UnalignedForm<PackedStringCompare<TLengths, TOutput>>(i, ref op);

    private static BindKind Extend<TBits, TWideBits, TExtension>(in Instruction i, ref Op op)
        where TBits : unmanaged
        where TWideBits : unmanaged
        where TExtension : struct, IExtension => i.Op0Register.IsYMM()
            ? VexForm<TPort>.Bind<ExtendVex<TWideBits, TExtension>, TWideBits, Vector256<byte>>(i, ref op)
            : VexForm<TPort>.Bind<ExtendVex<TBits, TExtension>, TBits, Vector128<byte>>(i, ref op);

    private static BindKind Shift<TShift>(in Instruction i, ref Op op)
        where TShift : struct, IPackedShift
    {
        if (OperandLayout.IsImmediate(i.Op2Kind))
        {
            return VexForm<TPort>.Same<ShiftImmediateVex<TShift>>(i, ref op);
        }

        return i.Op0Register.IsYMM()
            ? VexForm<TPort>.Bind<ShiftVectorVex<TShift>, Vector128<ulong>, Vector256<byte>>(i, ref op)
            : VexForm<TPort>.Bind<ShiftVectorVex<TShift>, Vector128<ulong>, Vector128<byte>>(i, ref op);
    }
}
