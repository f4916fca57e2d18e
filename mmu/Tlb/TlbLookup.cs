using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

public sealed partial class Tlb
{
    /// <summary>How many pages' stale uses are remembered, and so reported once.</summary>
    private const int MostStalePages = 1 << 12;

    private const PageRights MemoryType = PageRights.WriteThrough | PageRights.CacheDisable | PageRights.Pat;

    private static readonly byte[] EntryShifts = [0, 12, 21, 30, 39, 48];
    private static readonly byte[] EntryShifts32 = [0, 12, 22];

    private readonly HashSet<(ulong Page, int Pcid)> stalePages = [];

    /// <summary>
    /// Looks for a translation that allows an access and, for a write, has D set. Where there is none a walk decides: real processors may fault
    /// on an entry that forbids the access, and need not (SDM Vol. 3A, section 5.10.4.3).
    /// </summary>
    /// <param name="linear">The address.</param>
    /// <param name="access">What is done there.</param>
    /// <param name="state">The paging state in force.</param>
    /// <param name="context">The privilege, for the statistics.</param>
    /// <param name="walk">The translation, as the walk found it that filled the entry.</param>
    public bool TryFind(Gva linear, WalkAccess access, in PagingState state, TlbContext context, out WalkResult walk)
    {
        TranslationArray? array = translations.Find(linear.Value, out int index);
        if (array is not null && Serves(array.Walk(index), state, access))
        {
            walk = At(array.Walk(index), linear);
            Statistics.CountHit(context, walk.PageShift);
            return true;
        }

        Statistics.CountMiss(context);
        walk = default;
        return false;
    }

    /// <summary>Keeps the translation of a successful walk. Without paging there is nothing to keep.</summary>
    /// <param name="linear">The address that was walked.</param>
    /// <param name="walk">The walk.</param>
    /// <param name="state">The paging state in force.</param>
    /// <param name="context">The privilege, for the statistics.</param>
    public void Keep(Gva linear, in WalkResult walk, in PagingState state, TlbContext context)
    {
        if (state.PG)
        {
            translations.Keep(linear.Value, walk, context, default);
        }
    }

    /// <summary>Counts a walk that this TLB did not make itself.</summary>
    /// <param name="result">How it ended.</param>
    /// <param name="state">The paging state it was made in.</param>
    public void CountWalk(in WalkResult result, in PagingState state)
    {
        Statistics.Walks++;
        int top = TopLevel(state);
        Statistics.EntriesRead += result.Level == 0 || result.Level > top ? 0 : (ulong)(top - result.Level + 1);
    }

    /// <summary>
    /// Translates as <see cref="TlbMode.Exact"/> has it: by a cached translation, else by a walk below the paging-structure caches. What would
    /// fault by something cached is decided by a walk of the tables alone, and what was cached for the address goes, as with a page fault
    /// (SDM Vol. 3A, section 5.10.4.1).
    /// </summary>
    /// <param name="tables">The memory that holds the page tables.</param>
    /// <param name="state">The paging state in force.</param>
    /// <param name="linear">The address.</param>
    /// <param name="access">What is done there.</param>
    /// <param name="context">The privilege, for the statistics.</param>
    /// <param name="observer">Sees the entries that are read from memory, and those changed.</param>
    /// <param name="stale">In <see cref="TlbMode.Strict"/>, the first use on this page of what the tables no longer say; else null.</param>
    /// <returns>The translation, or the failure.</returns>
    public WalkResult Translate<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva linear, WalkAccess access, TlbContext context, ref TObserver observer, out StaleTranslation? stale)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
    {
        stale = null;
        linear = state.IsLongMode ? linear : new Gva((uint)linear.Value);
        if (!state.PG)
        {
            return PageWalker.Walk(ref tables, state, linear, access, ref observer);
        }

        TranslationArray? array = translations.Find(linear.Value, out int index);
        if (array is not null && Serves(array.Walk(index), state, access))
        {
            WalkResult hit = At(array.Walk(index), linear);
            Statistics.CountHit(context, hit.PageShift);
            if (Mode == TlbMode.Strict)
            {
                stale = Compare(ref tables, state, linear, access, hit, array.Path(index), array.Pcid(index), fromTlb: true);
            }

            return hit;
        }

        Statistics.CountMiss(context);
        translations.Drop(linear.Value);
        return WalkAndKeep(ref tables, state, linear, access, context, ref observer, out stale);
    }

    private WalkResult WalkAndKeep<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva linear, WalkAccess access, TlbContext context, ref TObserver observer, out StaleTranslation? stale)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
    {
        stale = null;
        bool cached = structures.TryFind(linear.Value, out TablePath start);
        WalkResult result = WalkBelow(ref tables, state, linear, access, cached, start, ref observer, out TablePath path);
        if (!result.Succeeded)
        {
            structures.Drop(Pcid, linear.Value);
            if (cached && result.Failure != WalkFailure.NonCanonical)
            {
                cached = false;
                result = WalkBelow(ref tables, state, linear, access, cached, default, ref observer, out path);
            }
        }

        if (!result.Succeeded)
        {
            return result;
        }

        translations.Keep(linear.Value, result, context, path);
        structures.Keep(linear.Value, path, TopLevel(state), state.Mode == PagingMode.Bits32 ? EntryShifts32 : EntryShifts);
        if (cached)
        {
            Statistics.CountStructureHit(start.Bottom);
            if (Mode == TlbMode.Strict)
            {
                stale = Compare(ref tables, state, linear, access, result, path, Pcid, fromTlb: false);
            }
        }

        return result;
    }

    private WalkResult WalkBelow<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva linear, WalkAccess access, bool cached, in TablePath start, ref TObserver observer, out TablePath path)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
    {
        int cachedDownTo = cached ? start.Bottom : TlbStatistics.WalkLevels;
        CachedTables<TTables> memory = new(tables, start, TopLevel(state), cachedDownTo);
        PathObserver<TObserver> recording = new(observer, cachedDownTo);
        WalkResult result = PageWalker.Walk(ref memory, state, linear, access, ref recording);
        (tables, observer) = (memory.Inner, recording.Inner);
        path = recording.Path;
        Statistics.Walks++;
        Statistics.EntriesRead += (ulong)memory.EntriesRead;
        return result;
    }

    /// <summary>Compares what was used with a walk that leaves no marks; null where they agree, and where the page was reported before.</summary>
    private StaleTranslation? Compare<TTables>(
        ref TTables tables, in PagingState state, Gva linear, WalkAccess access, in WalkResult used, in TablePath path, ushort pcid, bool fromTlb)
        where TTables : struct, ITableMemory
    {
        UnmarkedTables<TTables> unmarked = new(tables);
        PathObserver<NoWalkObserver> seen = new(default);
        WalkResult now = PageWalker.Walk(ref unmarked, state, linear, access, ref seen);
        tables = unmarked.Inner;
        bool lostDirty = access.Kind == AccessKind.Write && now.Succeeded && !seen.LastRead.D && now.EntryAddress == used.EntryAddress;
        if (now.Succeeded && now.Gpa == used.Gpa && ((now.Rights ^ used.Rights) & MemoryType) == 0 && !lostDirty)
        {
            return null;
        }

        Statistics.StaleUses++;
        bool global = (used.Rights & PageRights.Global) != 0;
        if (stalePages.Count >= MostStalePages || !stalePages.Add((linear.Value >> PageSize.Shift4K, global ? -1 : Pcid)))
        {
            return null;
        }

        int level = lostDirty && now.Gpa == used.Gpa ? seen.Path.Bottom : ChangedLevel(path, seen.Path);
        WalkStepEntry after = lostDirty && level == seen.Path.Bottom ? new(seen.Path[level].Address, seen.LastRead) : seen.Path[level];
        ulong page = linear.Value & ~((1UL << used.PageShift) - 1);
        return new StaleTranslation
        {
            Address = linear,
            Access = access,
            Pcid = Pcid,
            Cached = new CachedTranslation(new Gva(page), used.PageShift, pcid, used.Rights, new(used.Gpa.Value - (linear.Value - page))),
            FromTlb = fromTlb,
            Now = now,
            ChangedLevel = level,
            ChangedEntry = after.Address,
            Before = path.Has(level) ? path[level].Entry : used.Entry,
            After = after.Entry,
        };
    }

    /// <summary>The highest entry that lies where it lay and holds something else, A and D aside; where there is none, the last of the new walk.</summary>
    private static int ChangedLevel(in TablePath before, in TablePath now)
    {
        for (int level = now.Top; level >= now.Bottom && level > 0; level--)
        {
            ulong differs = before.Has(level) ? before[level].Entry.Raw ^ now[level].Entry.Raw : 0;
            if ((differs & ~(PageTableEntry.ABit | PageTableEntry.DBit)) != 0 && before[level].Address == now[level].Address)
            {
                return level;
            }
        }

        return now.Bottom;
    }

    private static bool Serves(in WalkResult walk, in PagingState state, WalkAccess access) =>
        (access.Kind != AccessKind.Write || (walk.Rights & PageRights.Dirty) != 0)
        && (PageRules.Check(walk.Rights, state, access) | PageRules.CheckKey(walk.Rights, walk.Entry, state, access)) == WalkFailure.None;

    private static WalkResult At(in WalkResult walk, Gva linear) =>
        walk with { Gpa = new(walk.Gpa.Value | (linear.Value & ((1UL << walk.PageShift) - 1))) };

    private static int TopLevel(in PagingState state) => state.Mode switch
    {
        PagingMode.FiveLevel => 5,
        PagingMode.FourLevel => LongModeFormat.TopLevel,
        PagingMode.None => 0,
        _ => 2,
    };
}
