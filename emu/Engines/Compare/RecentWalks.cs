using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Keeps the last few walks of a processor, without allocating while it runs.</summary>
internal sealed class RecentWalks : IWalkListener
{
    private const int Kept = 4;
    private const int MostEntries = 5;

    private readonly Walk[] walks = [.. Enumerable.Range(0, Kept).Select(_ => new Walk())];
    private int next;

    /// <inheritdoc/>
    public void OnWalkBegin(Gva gva, WalkAccess access)
    {
        Walk walk = walks[next];
        (walk.Gva, walk.Access, walk.Count, walk.IsDone) = (gva, access, 0, false);
    }

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value)
    {
        Walk walk = walks[next];
        if (walk.Count < MostEntries)
        {
            walk.Entries[walk.Count++] = (level, entry, value);
        }
    }

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
    }

    /// <inheritdoc/>
    public void OnWalkEnd(Gva gva, WalkAccess access, in WalkResult result)
    {
        Walk walk = walks[next];
        (walk.Result, walk.IsDone) = (result, true);
        next = (next + 1) % Kept;
    }

    /// <summary>The walks, the oldest first.</summary>
    public IReadOnlyList<ComparedWalk> List() =>
    [
        .. Enumerable.Range(0, Kept).Select(i => walks[(next + i) % Kept]).Where(walk => walk.IsDone)
            .Select(walk => new ComparedWalk(walk.Gva, walk.Access, walk.Result, walk.Entries[..walk.Count])),
    ];

    private sealed class Walk
    {
        public Gva Gva { get; set; }

        public WalkAccess Access { get; set; }

        public WalkResult Result { get; set; }

        public bool IsDone { get; set; }

        public int Count { get; set; }

        public (int Level, Gpa Entry, PageTableEntry Value)[] Entries { get; } = new (int, Gpa, PageTableEntry)[MostEntries];
    }
}
