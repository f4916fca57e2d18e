using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The fallbacks for hosts without AES and PCLMULQDQ: published vectors, and the host's instructions where it has them.</summary>
[TestFixture]
public sealed class PortableCipherTests
{
    private const int Cases = 20_000;

    /// <summary>FIPS 197, appendix B: the cipher example, and its inverse by the equivalent inverse cipher.</summary>
    [Test]
    public void AesEnciphersAndDeciphersThePublishedExample()
    {
        Vector128<byte> key = Bytes("2b7e151628aed2a6abf7158809cf4f3c"), text = Bytes("3243f6a8885a308d313198a2e0370734");
        Vector128<byte>[] keys = Expand(key);
        Vector128<byte> state = text ^ keys[0];
        for (int round = 1; round < 10; round++)
        {
            state = PortableAes.Encrypt(state, keys[round]);
        }

        Vector128<byte> cipher = PortableAes.EncryptLast(state, keys[10]);
        state = cipher ^ keys[10];
        for (int round = 9; round > 0; round--)
        {
            state = PortableAes.Decrypt(state, PortableAes.InverseMixColumns(keys[round]));
        }

        Assert.That((cipher, PortableAes.DecryptLast(state, keys[0])), Is.EqualTo((Bytes("3925841d02dc09fbdc118597196a0b32"), text)));
    }

    [Test]
    public void AesAgreesWithTheHost()
    {
        if (!Aes.IsSupported)
        {
            Assert.Ignore("needs a host with AES");
        }

        OperandSource source = new(5);
        for (int i = 0; i < Cases; i++)
        {
            Vector128<byte> state = Next(source), key = Next(source);
            Assert.That(PortableAes.Encrypt(state, key), Is.EqualTo(Aes.Encrypt(state, key)));
            Assert.That(PortableAes.EncryptLast(state, key), Is.EqualTo(Aes.EncryptLast(state, key)));
            Assert.That(PortableAes.Decrypt(state, key), Is.EqualTo(Aes.Decrypt(state, key)));
            Assert.That(PortableAes.DecryptLast(state, key), Is.EqualTo(Aes.DecryptLast(state, key)));
            Assert.That(PortableAes.InverseMixColumns(state), Is.EqualTo(Aes.InverseMixColumns(state)));
            Assert.That(PortableAes.KeyAssist(state), Is.EqualTo(Aes.KeygenAssist(state, 0)));
        }
    }

    [Test]
    public void CarrylessMultiplicationAgreesWithTheHost()
    {
        if (!Pclmulqdq.IsSupported)
        {
            Assert.Ignore("needs a host with PCLMULQDQ");
        }

        OperandSource source = new(6);
        for (int i = 0; i < Cases; i++)
        {
            Vector128<ulong> a = Next(source).AsUInt64(), b = Next(source).AsUInt64();
            Assert.That(CarrylessMultiply.Portable(a[0], b[0]), Is.EqualTo(Pclmulqdq.CarrylessMultiply(a, b, 0).AsByte()));
        }
    }

    /// <summary>(x + 1)(x + 1) = x^2 + 1, and the greatest degree there is.</summary>
    [TestCase(3UL, 3UL, 5UL, 0UL)]
    [TestCase(1UL << 63, 1UL << 63, 0UL, 1UL << 62)]
    [TestCase(ulong.MaxValue, 1UL, ulong.MaxValue, 0UL)]
    public void CarrylessMultiplicationOfKnownPolynomials(ulong x, ulong y, ulong low, ulong high) =>
        Assert.That(CarrylessMultiply.Portable(x, y).AsUInt64(), Is.EqualTo(Vector128.Create(low, high)));

    private static Vector128<byte>[] Expand(Vector128<byte> key)
    {
        Vector128<byte>[] keys = new Vector128<byte>[11];
        keys[0] = key;
        uint constant = 1;
        for (int round = 1; round < keys.Length; round++)
        {
            Vector128<uint> previous = keys[round - 1].AsUInt32();
            uint[] words = new uint[4];
            words[0] = previous[0] ^ PortableAes.KeyAssist(keys[round - 1]).AsUInt32()[3] ^ constant;
            for (int i = 1; i < words.Length; i++)
            {
                words[i] = previous[i] ^ words[i - 1];
            }

            keys[round] = Vector128.Create(words).AsByte();
            constant = constant >= 0x80 ? (constant << 1) ^ 0x11B : constant << 1;
        }

        return keys;
    }

    private static Vector128<byte> Next(OperandSource source) => Vector128.Create(source.NextBits(), source.NextBits()).AsByte();

    private static Vector128<byte> Bytes(string hexadecimal) => Vector128.Create(Convert.FromHexString(hexadecimal));
}
