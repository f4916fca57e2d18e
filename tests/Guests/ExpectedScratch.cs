using System.Buffers.Binary;
using System.Numerics;

namespace Quadwalk.Tests;

/// <summary>What uart.c does to the 4096 bytes of the scratch device, done to an array.</summary>
internal sealed class ExpectedScratch
{
    private const ulong FnvPrime = 0x100000001b3;

    private readonly byte[] bytes = new byte[4096];

    private ExpectedScratch()
    {
        PlainStores();
        VectorAccesses();
        Registers = ReadModifyWrite();
        Strings();
        Checksum = bytes.Aggregate(0xcbf29ce484222325, (hash, value) => unchecked((hash ^ value) * FnvPrime));
    }

    /// <summary>Registers and flags left by the read-modify-write instructions, folded as the guest folds them.</summary>
    public ulong Registers { get; }

    /// <summary>FNV-1a (64 bits) of the final bytes.</summary>
    public ulong Checksum { get; }

    public static ExpectedScratch Compute() => new();

    private T Load<T>(int offset)
        where T : unmanaged, IBinaryInteger<T> => T.ReadLittleEndian(bytes.AsSpan(offset, T.Zero.GetByteCount()), isUnsigned: true);

    private void Store<T>(int offset, T value)
        where T : unmanaged, IBinaryInteger<T> => value.WriteLittleEndian(bytes.AsSpan(offset));

    private void PlainStores()
    {
        for (int i = 0; i < 16; i++)
        {
            Store(i, (byte)(i * 17));
        }

        for (int i = 0; i < 8; i++)
        {
            Store(0x10 + (2 * i), unchecked((ushort)(0x1011 * (i + 1))));
            Store(0x20 + (4 * i), unchecked(0x12345678u * (uint)(i + 1)));
            Store(0x40 + (8 * i), unchecked(0x123456789abcdef1ul * (ulong)(i + 1)));
        }

        Store(0x91, 0xfedcba9876543210ul);
    }

    private void VectorAccesses()
    {
        uint[] doublewords = [.. Enumerable.Range(0, 4).Select(i => unchecked(Load<uint>(0x40 + (4 * i)) + Load<uint>(0x53 + (4 * i))))];
        ulong[] quadwords = [.. Enumerable.Range(0, 2).Select(i => unchecked(Load<ulong>(0x53 + (8 * i)) + Load<ulong>(0x60 + (8 * i))))];

        for (int i = 0; i < 4; i++)
        {
            Store(0xa0 + (4 * i), doublewords[i]);
        }

        for (int i = 0; i < 2; i++)
        {
            Store(0xb5 + (8 * i), quadwords[i]);
        }
    }

    private ulong ReadModifyWrite()
    {
        unchecked
        {
            bool carry = Load<byte>(0x0f) + 0xf0 > 0xff;
            Store(0x0f, (byte)(Load<byte>(0x0f) + 0xf0));
            Store(0x10, (ushort)(Load<ushort>(0x10) | 0x8001));
            Store(0x20, Load<uint>(0x20) ^ 0x0f0f0f0f);
            Store(0x40, Load<ulong>(0x40) - 3);
            Store(0x12, (ushort)(Load<ushort>(0x12) + 1));
            Store(0x24, 0 - Load<uint>(0x24));
            Store(0x48, ~Load<ulong>(0x48));
            Store(0x28, Load<uint>(0x28) << 3);

            uint exchanged = Load<uint>(0x2c);
            Store(0x2c, 0xa5a5a5a5);

            ulong added = Load<ulong>(0x58);
            Store(0x58, added + 0x1111111111111111);

            ulong matching = Load<ulong>(0x50);
            Store(0x50, 0x7777777777777777ul);

            ulong differing = Load<ulong>(0x60);
            bool notSwapped = differing == 1;

            bool wasSet = (Load<ulong>(0x68) >> 33 & 1) != 0;
            Store(0x68, Load<ulong>(0x68) | 1ul << 33);

            ulong flags = (carry ? 1u : 0) | 1u << 1 | (notSwapped ? 1u << 2 : 0) | (wasSet ? 1u << 3 : 0);
            ulong[] parts = [added, matching, differing, (ulong)(short)Load<ushort>(0x1e), Load<byte>(0x0e), flags];
            return parts.Aggregate((ulong)exchanged, (folded, part) => (folded ^ part) * FnvPrime);
        }
    }

    private void Strings()
    {
        byte[] inverted = [.. bytes.Take(256).Select(value => (byte)~value)];
        inverted.CopyTo(bytes.AsSpan(0x107));
        bytes.AsSpan(0x80, 128).CopyTo(bytes.AsSpan(0x300));
        for (int i = 0; i < 16; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(0xf80 + (8 * i)), 0x0123456789abcdef);
        }
    }
}
