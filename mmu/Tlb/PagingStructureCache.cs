using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The paging-structure caches (SDM Vol. 3A, section 5.10.3): entries that reference tables, by the linear-address bits that select them and
/// by PCID, with the entries above them as they were. Each level's is fully associative; the oldest entry makes room.
/// </summary>
internal sealed class PagingStructureCache
{
    private const int LowestLevel = 2;
    private const int HighestLevel = 5;

    private static readonly int[] Sizes = [0, 0, 32, 16, 8, 4];

    private readonly Entry[][] levels = [.. Sizes.Select(size => new Entry[size])];
    private readonly int[] next = new int[Sizes.Length];

    /// <summary>The PCIDs that entries belong to; none is global.</summary>
    public PcidStamps Stamps { get; } = new();

    /// <summary>The lowest cached entry for an address; its level is the path's bottom. False where there is none.</summary>
    public bool TryFind(ulong linear, out TablePath path)
    {
        for (int level = LowestLevel; level <= HighestLevel; level++)
        {
            foreach (ref Entry entry in levels[level].AsSpan())
            {
                if (entry.Stamp == Stamps.Current && entry.Holds(linear))
                {
                    path = entry.Path;
                    return true;
                }
            }
        }

        path = default;
        return false;
    }

    /// <summary>Keeps the entries of a successful walk that reference tables.</summary>
    /// <param name="linear">The address.</param>
    /// <param name="path">What the walk used.</param>
    /// <param name="topLevel">The highest level that lies in memory.</param>
    /// <param name="shiftOf">log2 of the bytes that an entry of a level translates, for each level.</param>
    public void Keep(ulong linear, in TablePath path, int topLevel, ReadOnlySpan<byte> shiftOf)
    {
        for (int level = Math.Max(LowestLevel, path.Bottom + 1); level <= topLevel; level++)
        {
            Entry kept = new(linear, shiftOf[level], Stamps.Pcid, Stamps.Current, path.DownTo(level));
            Entry[] entries = levels[level];
            int index = Array.FindIndex(entries, entry => entry.Stamp == kept.Stamp && entry.Holds(linear));
            if (index < 0)
            {
                index = next[level];
                next[level] = (index + 1) % entries.Length;
            }

            entries[index] = kept;
        }
    }

    /// <summary>Drops the entries of a PCID that an address would use.</summary>
    public void Drop(ushort pcid, ulong linear)
    {
        ulong stamp = Stamps.Of(pcid);
        foreach (Entry[] entries in levels)
        {
            foreach (ref Entry entry in entries.AsSpan())
            {
                if (entry.Stamp == stamp && entry.Holds(linear))
                {
                    entry = default;
                }
            }
        }
    }

    /// <summary>What stands, level by level.</summary>
    public IEnumerable<CachedTableEntry> Contents()
    {
        for (int level = HighestLevel; level >= LowestLevel; level--)
        {
            foreach (Entry entry in levels[level])
            {
                if (Stamps.IsLive(entry.Pcid, entry.Stamp))
                {
                    WalkStepEntry step = entry.Path[level];
                    yield return new CachedTableEntry(level, new Gva(entry.First), entry.Shift, entry.Pcid, step.Address, step.Entry, entry.Path.Rights());
                }
            }
        }
    }

    private readonly struct Entry(ulong linear, byte shift, ushort pcid, ulong stamp, TablePath path)
    {
        public readonly TablePath Path = path;

        public ulong First { get; } = linear >> shift << shift;

        public ulong Stamp { get; } = stamp;

        public ushort Pcid { get; } = pcid;

        public byte Shift { get; } = shift;

        public bool Holds(ulong address) => (First ^ address) >> Shift == 0;
    }
}
