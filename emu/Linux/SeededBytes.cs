using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>Bytes that a seed determines, by SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). They are no secret.</summary>
internal sealed class SeededBytes(ulong seed)
{
    private ulong state = seed;

    /// <summary>The next bytes.</summary>
    public void Fill(Span<byte> destination)
    {
        Span<byte> word = stackalloc byte[sizeof(ulong)];
        while (!destination.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, Next());
            int count = Math.Min(word.Length, destination.Length);
            word[..count].CopyTo(destination);
            destination = destination[count..];
        }
    }

    private ulong Next()
    {
        ulong z = state += 0x9e37_79b9_7f4a_7c15;
        z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
        return z ^ (z >> 31);
    }
}
