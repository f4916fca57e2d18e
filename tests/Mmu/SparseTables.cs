using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Memory of a handful of 64-bit words at chosen addresses, which refuses addresses no walker may ask for.</summary>
internal readonly struct SparseTables(int capacity) : ITableMemory
{
    private readonly ulong[] _addresses = new ulong[capacity];
    private readonly ulong[] _words = new ulong[capacity];

    public Span<ulong> Words => _words;

    public Span<ulong> Addresses => _addresses;

    public bool TryRead(Gpa entry, out ulong value)
    {
        int index = IndexOf(entry);
        value = index < 0 ? 0 : _words[index];
        return index >= 0;
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        int index = IndexOf(entry);
        exchanged = index >= 0 && _words[index] == expected;
        if (exchanged)
        {
            _words[index] = desired;
        }

        return index >= 0;
    }

    private int IndexOf(Gpa entry)
    {
        if ((entry.Value & 7) != 0 || entry.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"A walker asked for an entry at {entry}.");
        }

        return Array.IndexOf(_addresses, entry.Value);
    }
}
