using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Memory of one word a level: the entry that a walk uses. Bits 26:24 of an address tell the level; any other address is empty.</summary>
internal readonly struct SweepTables : ITableMemory
{
    public const int LevelShift = 24;

    private readonly ulong[] addresses = new ulong[8];
    private readonly ulong[] words = new ulong[8];

    public SweepTables() => Array.Fill(addresses, ulong.MaxValue);

    public ulong[] Addresses => addresses;

    public ulong[] Words => words;

    public bool TryRead(Gpa entry, out ulong value)
    {
        int level = LevelOf(entry);
        bool found = addresses[level] == entry.Value;
        value = found ? words[level] : 0;
        return found;
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        int level = LevelOf(entry);
        bool found = addresses[level] == entry.Value;
        exchanged = found && words[level] == expected;
        if (exchanged)
        {
            words[level] = desired;
        }

        return found;
    }

    private static int LevelOf(Gpa entry) =>
        (entry.Value & 7) == 0 && entry.Value >> 52 == 0
            ? (int)(entry.Value >> LevelShift) & 7
            : throw new InvalidOperationException($"A walker asked for an entry at {entry}.");
}
