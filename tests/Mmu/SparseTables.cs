using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Memory of a handful of 64-bit words at chosen addresses, which refuses addresses no walker may ask for.</summary>
internal readonly struct SparseTables(int capacity) : ITableMemory
{
    private readonly ulong[] addresses = new ulong[capacity];
    private readonly ulong[] words = new ulong[capacity];

    public Span<ulong> Words => words;

    public Span<ulong> Addresses => addresses;

    public bool TryRead(Gpa entry, out ulong value)
    {
        int index = IndexOf(entry);
        value = index < 0 ? 0 : words[index];
        return index >= 0;
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        int index = IndexOf(entry);
        exchanged = index >= 0 && words[index] == expected;
        if (exchanged)
        {
            words[index] = desired;
        }

        return index >= 0;
    }

    private int IndexOf(Gpa entry)
    {
        if ((entry.Value & 7) != 0 || entry.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"A walker asked for an entry at {entry}.");
        }

        return Array.IndexOf(addresses, entry.Value);
    }
}
