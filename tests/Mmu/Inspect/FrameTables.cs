using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Guest memory of a few frames from address 0, all of which may be tables. A test fails if they are written.</summary>
internal readonly struct FrameTables(int frames) : ITableMemory
{
    public const int WordsInFrame = 512;

    public ulong[] Words { get; } = new ulong[frames * WordsInFrame];

    public ulong this[int frame, int index]
    {
        get => Words[(frame * WordsInFrame) + index];
        set => Words[(frame * WordsInFrame) + index] = value;
    }

    public bool TryRead(Gpa entry, out ulong value)
    {
        if ((entry.Value & 7) != 0 || entry.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"An entry at {entry} was asked for.");
        }

        ulong index = entry.Value / sizeof(ulong);
        bool found = index < (ulong)Words.Length;
        value = found ? Words[index] : 0;
        return found;
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged) =>
        throw new InvalidOperationException("The tables are only read.");
}

/// <summary>The same for the walker, whose A and D flags are lost.</summary>
internal readonly struct UnmarkedTables(FrameTables tables) : ITableMemory
{
    public bool TryRead(Gpa entry, out ulong value) => tables.TryRead(entry, out value);

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged) => exchanged = true;
}
