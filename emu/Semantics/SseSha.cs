using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The functions of FIPS 180-4, 4.1, on 32-bit words.</summary>
internal static class ShaFunctions
{
    public static uint Choose(uint x, uint y, uint z) => (x & y) ^ (~x & z);

    public static uint Majority(uint x, uint y, uint z) => (x & y) ^ (x & z) ^ (y & z);

    public static uint Parity(uint x, uint y, uint z) => x ^ y ^ z;

    public static uint LargeSigma0(uint x) => uint.RotateRight(x, 2) ^ uint.RotateRight(x, 13) ^ uint.RotateRight(x, 22);

    public static uint LargeSigma1(uint x) => uint.RotateRight(x, 6) ^ uint.RotateRight(x, 11) ^ uint.RotateRight(x, 25);

    public static uint SmallSigma0(uint x) => uint.RotateRight(x, 7) ^ uint.RotateRight(x, 18) ^ (x >> 3);

    public static uint SmallSigma1(uint x) => uint.RotateRight(x, 17) ^ uint.RotateRight(x, 19) ^ (x >> 10);
}

/// <summary>SHA1RNDS4: four rounds, function and constant by the control. A is in the top doubleword.</summary>
internal readonly struct Sha1Rounds : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        Vector128<uint> state = a.AsUInt32(), words = b.AsUInt32();
        (uint A, uint B, uint C, uint D, uint E) s = (state[3], state[2], state[1], state[0], 0);
        for (int i = 3; i >= 0; i--)
        {
            uint next = Mix(s.B, s.C, s.D, control & 3) + uint.RotateLeft(s.A, 5) + words[i] + s.E;
            s = (next, s.A, uint.RotateLeft(s.B, 30), s.C, s.D);
        }

        return Vector128.Create(s.D, s.C, s.B, s.A).AsByte();
    }

    private static uint Mix(uint x, uint y, uint z, int stage) => stage switch
    {
        0 => ShaFunctions.Choose(x, y, z) + 0x5A82_7999,
        1 => ShaFunctions.Parity(x, y, z) + 0x6ED9_EBA1,
        2 => ShaFunctions.Majority(x, y, z) + 0x8F1B_BCDC,
        _ => ShaFunctions.Parity(x, y, z) + 0xCA62_C1D6,
    };
}

/// <summary>SHA1NEXTE.</summary>
internal readonly struct Sha1NextE : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        (b.AsUInt32() + Vector128.Create(0, 0, 0, uint.RotateLeft(a.AsUInt32()[3], 30))).AsByte();
}

/// <summary>SHA1MSG1.</summary>
internal readonly struct Sha1Message1 : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        a ^ Vector128.Create(b.AsUInt64()[1], a.AsUInt64()[0]).AsByte();
}

/// <summary>SHA1MSG2.</summary>
internal readonly struct Sha1Message2 : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<uint> x = a.AsUInt32(), y = b.AsUInt32();
        uint first = uint.RotateLeft(x[3] ^ y[2], 1);
        uint second = uint.RotateLeft(x[2] ^ y[1], 1);
        uint third = uint.RotateLeft(x[1] ^ y[0], 1);
        uint fourth = uint.RotateLeft(x[0] ^ first, 1);
        return Vector128.Create(fourth, third, second, first).AsByte();
    }
}

/// <summary>SHA256RNDS2: two rounds. The destination holds C, D, G, H from the top, the source A, B, E, F, XMM0 the words with their constants.</summary>
internal readonly struct Sha256Rounds : ITernaryPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c)
    {
        Vector128<uint> cdgh = a.AsUInt32(), abef = b.AsUInt32(), words = c.AsUInt32();
        (uint A, uint B, uint E, uint F) s = (abef[3], abef[2], abef[1], abef[0]);
        (uint C, uint D, uint G, uint H) t = (cdgh[3], cdgh[2], cdgh[1], cdgh[0]);
        for (int i = 0; i < 2; i++)
        {
            uint sum = ShaFunctions.Choose(s.E, s.F, t.G) + ShaFunctions.LargeSigma1(s.E) + words[i] + t.H;
            uint next = sum + ShaFunctions.Majority(s.A, s.B, t.C) + ShaFunctions.LargeSigma0(s.A);
            (s, t) = ((next, s.A, sum + t.D, s.E), (s.B, t.C, s.F, t.G));
        }

        return Vector128.Create(s.F, s.E, s.B, s.A).AsByte();
    }
}

/// <summary>SHA256MSG1.</summary>
internal readonly struct Sha256Message1 : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<uint> x = a.AsUInt32();
        Vector128<uint> following = Vector128.Create(
            ShaFunctions.SmallSigma0(x[1]), ShaFunctions.SmallSigma0(x[2]), ShaFunctions.SmallSigma0(x[3]), ShaFunctions.SmallSigma0(b.AsUInt32()[0]));
        return (x + following).AsByte();
    }
}

/// <summary>SHA256MSG2.</summary>
internal readonly struct Sha256Message2 : IPackedOperation
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<uint> x = a.AsUInt32(), y = b.AsUInt32();
        uint first = x[0] + ShaFunctions.SmallSigma1(y[2]);
        uint second = x[1] + ShaFunctions.SmallSigma1(y[3]);
        uint third = x[2] + ShaFunctions.SmallSigma1(first);
        uint fourth = x[3] + ShaFunctions.SmallSigma1(second);
        return Vector128.Create(first, second, third, fourth).AsByte();
    }
}
