using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds what of SSSE3 to SSE4.2, AES and SHA takes two vectors and nothing else.</summary>
internal static class SseLaterIntegerBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Pshufb => Pure<ShuffleBytes>(i, ref op),
        Mnemonic.Phaddw => Pure<HorizontalWords<PackedAdd<ushort>>>(i, ref op),
        Mnemonic.Phaddd => Pure<HorizontalDoublewords<PackedAdd<uint>>>(i, ref op),
        Mnemonic.Phaddsw => Pure<HorizontalWords<PackedAddSaturated<short>>>(i, ref op),
        Mnemonic.Phsubw => Pure<HorizontalWords<PackedSubtract<ushort>>>(i, ref op),
        Mnemonic.Phsubd => Pure<HorizontalDoublewords<PackedSubtract<uint>>>(i, ref op),
        Mnemonic.Phsubsw => Pure<HorizontalWords<PackedSubtractSaturated<short>>>(i, ref op),
        Mnemonic.Pmaddubsw => Pure<PackedMultiplyAddBytes>(i, ref op),
        Mnemonic.Pmulhrsw => Pure<PackedMultiplyRounded>(i, ref op),
        Mnemonic.Psignb => Pure<PackedSign<sbyte>>(i, ref op),
        Mnemonic.Psignw => Pure<PackedSign<short>>(i, ref op),
        Mnemonic.Psignd => Pure<PackedSign<int>>(i, ref op),
        Mnemonic.Pabsb => Pure<PackedAbsolute<sbyte>>(i, ref op),
        Mnemonic.Pabsw => Pure<PackedAbsolute<short>>(i, ref op),
        Mnemonic.Pabsd => Pure<PackedAbsolute<int>>(i, ref op),
        Mnemonic.Packusdw => Pure<PackUnsignedDoublewords>(i, ref op),
        Mnemonic.Phminposuw => Pure<MinimumWordAndPosition>(i, ref op),
        Mnemonic.Pmuldq => Pure<PackedMultiplyEvenSigned>(i, ref op),
        Mnemonic.Pmulld => Pure<PackedMultiplyLowDoublewords>(i, ref op),
        Mnemonic.Pcmpeqq => Pure<PackedEqual<ulong>>(i, ref op),
        Mnemonic.Pcmpgtq => Pure<PackedGreater<long>>(i, ref op),
        Mnemonic.Pminsb => Pure<PackedMinimum<sbyte>>(i, ref op),
        Mnemonic.Pminsd => Pure<PackedMinimum<int>>(i, ref op),
        Mnemonic.Pminuw => Pure<PackedMinimum<ushort>>(i, ref op),
        Mnemonic.Pminud => Pure<PackedMinimum<uint>>(i, ref op),
        Mnemonic.Pmaxsb => Pure<PackedMaximum<sbyte>>(i, ref op),
        Mnemonic.Pmaxsd => Pure<PackedMaximum<int>>(i, ref op),
        Mnemonic.Pmaxuw => Pure<PackedMaximum<ushort>>(i, ref op),
        Mnemonic.Pmaxud => Pure<PackedMaximum<uint>>(i, ref op),
        Mnemonic.Aesenc => Pure<AesEncrypt>(i, ref op),
        Mnemonic.Aesenclast => Pure<AesEncryptLast>(i, ref op),
        Mnemonic.Aesdec => Pure<AesDecrypt>(i, ref op),
        Mnemonic.Aesdeclast => Pure<AesDecryptLast>(i, ref op),
        Mnemonic.Aesimc => Pure<AesInverseMix>(i, ref op),
        Mnemonic.Sha1nexte => Pure<Sha1NextE>(i, ref op),
        Mnemonic.Sha1msg1 => Pure<Sha1Message1>(i, ref op),
        Mnemonic.Sha1msg2 => Pure<Sha1Message2>(i, ref op),
        Mnemonic.Sha256msg1 => Pure<Sha256Message1>(i, ref op),
        Mnemonic.Sha256msg2 => Pure<Sha256Message2>(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Pure<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IPackedOperation => SseBinder<TPort>.Form<Packed<TOperation>>(i, ref op);
}
