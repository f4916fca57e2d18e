using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Emulation;

/// <summary>AESENC.</summary>
internal readonly struct AesEncrypt : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Aes.IsSupported ? Aes.Encrypt(a, b) : PortableAes.Encrypt(a, b);
}

/// <summary>AESENCLAST.</summary>
internal readonly struct AesEncryptLast : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Aes.IsSupported ? Aes.EncryptLast(a, b) : PortableAes.EncryptLast(a, b);
}

/// <summary>AESDEC.</summary>
internal readonly struct AesDecrypt : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Aes.IsSupported ? Aes.Decrypt(a, b) : PortableAes.Decrypt(a, b);
}

/// <summary>AESDECLAST.</summary>
internal readonly struct AesDecryptLast : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Aes.IsSupported ? Aes.DecryptLast(a, b) : PortableAes.DecryptLast(a, b);
}

/// <summary>AESIMC.</summary>
internal readonly struct AesInverseMix : IPackedOperation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Aes.IsSupported ? Aes.InverseMixColumns(b) : PortableAes.InverseMixColumns(b);
}

/// <summary>AESKEYGENASSIST.</summary>
internal readonly struct AesKeyAssist : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        Vector128<byte> words = Aes.IsSupported ? Aes.KeygenAssist(b, 0) : PortableAes.KeyAssist(b);
        return words ^ Vector128.Create(0, (uint)control, 0, (uint)control).AsByte();
    }
}

/// <summary>
/// The steps of FIPS 197 as the instructions combine them (SDM Vol. 1, 12.13.2), for hosts without them. Byte 4c + r of the vector is
/// row r of column c.
/// </summary>
internal static class PortableAes
{
    private const int Modulus = 0x11B;

    private static readonly byte[] Substitution = BuildSubstitution();
    private static readonly byte[] InverseSubstitution = Invert(Substitution);

    private static Vector128<byte> RowShift => Vector128.Create((byte)0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11);

    private static Vector128<byte> InverseRowShift => Vector128.Create((byte)0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3);

    /// <summary>A round.</summary>
    public static Vector128<byte> Encrypt(Vector128<byte> state, Vector128<byte> key) => MixColumns(Shifted(state)) ^ key;

    /// <summary>The last round, which does not mix columns.</summary>
    public static Vector128<byte> EncryptLast(Vector128<byte> state, Vector128<byte> key) => Shifted(state) ^ key;

    /// <summary>A round of the equivalent inverse cipher.</summary>
    public static Vector128<byte> Decrypt(Vector128<byte> state, Vector128<byte> key) => InverseMixColumns(InverseShifted(state)) ^ key;

    /// <summary>Its last round.</summary>
    public static Vector128<byte> DecryptLast(Vector128<byte> state, Vector128<byte> key) => InverseShifted(state) ^ key;

    /// <summary>InvMixColumns: MixColumns after adding 4(a[r] + a[r + 2]) to every byte.</summary>
    public static Vector128<byte> InverseMixColumns(Vector128<byte> state) => MixColumns(state ^ Doubled(Doubled(state ^ Rotated(state, 16))));

    /// <summary>The second and fourth words substituted, and each again rotated, before the round constant is added.</summary>
    public static Vector128<byte> KeyAssist(Vector128<byte> key)
    {
        Vector128<uint> words = Substitute(key, Substitution).AsUInt32();
        uint second = words[1], fourth = words[3];
        return Vector128.Create(second, uint.RotateRight(second, 8), fourth, uint.RotateRight(fourth, 8)).AsByte();
    }

    private static Vector128<byte> Shifted(Vector128<byte> state) => Substitute(Vector128.Shuffle(state, RowShift), Substitution);

    private static Vector128<byte> InverseShifted(Vector128<byte> state) => Substitute(Vector128.Shuffle(state, InverseRowShift), InverseSubstitution);

    /// <summary>2 a[r] + 3 a[r + 1] + a[r + 2] + a[r + 3] for every byte.</summary>
    private static Vector128<byte> MixColumns(Vector128<byte> state)
    {
        Vector128<byte> next = Rotated(state, 8);
        Vector128<byte> pair = state ^ next;
        return Doubled(pair) ^ next ^ Rotated(pair, 16);
    }

    /// <summary>Each byte replaced by the one <paramref name="bits"/> / 8 rows below.</summary>
    private static Vector128<byte> Rotated(Vector128<byte> state, int bits) => ((state.AsUInt32() >>> bits) | (state.AsUInt32() << (32 - bits))).AsByte();

    private static Vector128<byte> Doubled(Vector128<byte> state) =>
        (state + state) ^ (Vector128.LessThan(state.AsSByte(), Vector128<sbyte>.Zero).AsByte() & Vector128.Create((byte)(Modulus & 0xFF)));

    private static Vector128<byte> Substitute(Vector128<byte> state, byte[] box)
    {
        Span<byte> bytes = stackalloc byte[Vector128<byte>.Count];
        state.CopyTo(bytes);
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = box[bytes[i]];
        }

        return Vector128.Create<byte>(bytes);
    }

    /// <summary>The inverse in GF(2^8), then the affine transformation (FIPS 197, 5.1.1). 3 generates the field.</summary>
    private static byte[] BuildSubstitution()
    {
        Span<byte> powers = stackalloc byte[256];
        powers[0] = 1;
        for (int i = 1; i < powers.Length; i++)
        {
            int next = powers[i - 1] ^ (powers[i - 1] << 1);
            powers[i] = (byte)(next > 0xFF ? next ^ Modulus : next);
        }

        byte[] box = new byte[256];
        box[0] = Affine(0);
        for (int i = 0; i < 255; i++)
        {
            box[powers[i]] = Affine(powers[255 - i]);
        }

        return box;
    }

    private static byte Affine(byte value)
    {
        int sum = 0x63;
        for (int rotation = 0; rotation < 5; rotation++)
        {
            sum ^= byte.RotateLeft(value, rotation);
        }

        return (byte)sum;
    }

    private static byte[] Invert(byte[] box)
    {
        byte[] inverse = new byte[256];
        for (int i = 0; i < box.Length; i++)
        {
            inverse[box[i]] = (byte)i;
        }

        return inverse;
    }
}
