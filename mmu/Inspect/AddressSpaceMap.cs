using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// What the tables of one address space map: ranges of equal rights, single pages, and the addresses that map a frame. The tables are only
/// read, and no access is checked: what is listed is what an access with the right rights would reach.
/// </summary>
/// <remarks>
/// The guest's tables are hostile: a table that references itself maps 2^36 pages with one frame, 2^45 with 5-level paging. Each subtree is
/// therefore looked at once for each level and each set of rights it is met with, at most <see cref="MostTables"/> in all; lists are made
/// as they are read, in ascending order, and from one element to the next takes a few table reads. Counts are exact. The tables must not
/// change while this object is in use: it would give results of both times.
/// </remarks>
public sealed class AddressSpaceMap
{
    /// <summary>How many tables are looked at by default, counting each level and set of rights that one is met with.</summary>
    public const int MostTables = 1 << 20;

    private const PageRights AllRights = PageRights.User | PageRights.Write;

    private readonly TableDecoder decoder;
    private readonly RegionFold regions;
    private readonly int mostTables;

    private AddressSpaceMap(TableDecoder decoder, int mostTables)
    {
        this.decoder = decoder;
        this.mostTables = mostTables;
        regions = new RegionFold(decoder, mostTables);
        ulong last = decoder.LastPosition;
        ulong half = last >> 1;
        Halves = decoder.SignExtends
            ? [new(new Gva(0), new Gva(half)), new(new Gva(~half), new Gva(ulong.MaxValue))]
            : [new(new Gva(0), new Gva(last))];
    }

    /// <summary>The linear addresses that there are: one range below 4 GiB, or the two canonical halves. A range of equal rights lies in one.</summary>
    public IReadOnlyList<GvaRange> Halves { get; }

    /// <summary>The map of an address space.</summary>
    /// <param name="tables">The memory that holds the tables; it is never written.</param>
    /// <param name="state">The control registers and limits in force.</param>
    /// <param name="mostTables">How many tables to look at.</param>
    /// <exception cref="ArgumentException">Paging is off, so there are no tables.</exception>
    public static AddressSpaceMap Of<TTables>(TTables tables, in PagingState state, int mostTables = MostTables)
        where TTables : struct, ITableMemory
    {
        ArgumentOutOfRangeException.ThrowIfNegative(mostTables);
        return new(TableDecoder.For(tables, state), mostTables);
    }

    /// <summary>The ranges of equal rights in a window, cut off at its ends.</summary>
    public IEnumerable<MappedRange> Ranges(GvaRange window)
    {
        foreach (PositionRange part in PartsOf(window))
        {
            foreach (Stretch stretch in Merge(Stretches(decoder.Root, decoder.TopLevel, AllRights, 0, part, descending: false)))
            {
                if (stretch.Rights != RegionRights.Unmapped)
                {
                    yield return ToRange(stretch.First, stretch.Last, stretch.Rights);
                }
            }
        }
    }

    /// <summary>The whole range of equal rights that an address lies in, or null where nothing is mapped.</summary>
    public MappedRange? RangeAt(Gva address)
    {
        foreach (PositionRange half in PartsOf(GvaRange.All))
        {
            ulong position = address.Value & decoder.LastPosition;
            if (decoder.AddressOf(position) != address || position < half.First || position > half.Last)
            {
                continue;
            }

            Stretch up = Merge(Stretches(decoder.Root, decoder.TopLevel, AllRights, 0, new(position, half.Last), descending: false)).First();
            Stretch down = Merge(Stretches(decoder.Root, decoder.TopLevel, AllRights, 0, new(half.First, position), descending: true)).First();
            return up.Rights == RegionRights.Unmapped ? null : ToRange(down.First, up.Last, up.Rights);
        }

        return null;
    }

    /// <summary>The pages that lie at least in part in a window.</summary>
    public IEnumerable<MappedPage> Pages(GvaRange window) => PagesOf(
        window, (table, level, rights) => regions.Of(table, level, rights).Pages.Total != 0, static (_, _) => true);

    /// <summary>How many ranges and pages <see cref="Ranges"/> and <see cref="Pages"/> give for a window.</summary>
    public MapCounts Count(GvaRange window)
    {
        ulong ranges = 0;
        PageCounts pages = default;
        foreach (PositionRange part in PartsOf(window))
        {
            RegionSummary summary = regions.Of(decoder.Root, decoder.TopLevel, AllRights, 0, part);
            ranges += summary.Ranges;
            pages += summary.Pages;
        }

        return new MapCounts(ranges, pages, !regions.IsIncomplete);
    }

    /// <summary>The reverse: where a guest frame is mapped.</summary>
    public FrameMappings MappingsOf(Gfn frame)
    {
        FrameFold counts = new(decoder, mostTables, frame.Value << PageSize.Shift4K);
        return new FrameMappings(
            window => PagesOf(window, (table, level, rights) => counts.Of(table, level, rights) != 0, (entry, level) => counts.Maps(entry, level)),
            window => CountOf(counts, window),
            () => !counts.IsIncomplete);
    }

    private ulong CountOf(FrameFold counts, GvaRange window)
    {
        ulong count = 0;
        foreach (PositionRange part in PartsOf(window))
        {
            count += counts.Of(decoder.Root, decoder.TopLevel, AllRights, 0, part);
        }

        return count;
    }

    private IEnumerable<PositionRange> PartsOf(GvaRange window)
    {
        foreach (GvaRange half in Halves)
        {
            ulong first = Math.Max(half.First.Value, window.First.Value);
            ulong last = Math.Min(half.Last.Value, window.Last.Value);
            if (first <= last)
            {
                yield return new(first & decoder.LastPosition, last & decoder.LastPosition);
            }
        }
    }

    private MappedRange ToRange(ulong first, ulong last, RegionRights rights)
    {
        PageRights known = (PageRights)(rights & (RegionRights.User | RegionRights.Write | RegionRights.NoExecute));
        return new(new(decoder.AddressOf(first), decoder.AddressOf(last)), known, rights != RegionRights.NotScanned);
    }

    /// <summary>Joins neighbours, ascending or descending, that are equal in their rights.</summary>
    private static IEnumerable<Stretch> Merge(IEnumerable<Stretch> pieces)
    {
        Stretch? open = null;
        foreach (Stretch piece in pieces)
        {
            if (open is { } previous && previous.Rights == piece.Rights)
            {
                open = new(Math.Min(previous.First, piece.First), Math.Max(previous.Last, piece.Last), piece.Rights);
                continue;
            }

            if (open is { } done)
            {
                yield return done;
            }

            open = piece;
        }

        if (open is { } last)
        {
            yield return last;
        }
    }

    private IEnumerable<Stretch> Stretches(ulong table, int level, PageRights rights, ulong start, PositionRange window, bool descending)
    {
        int shift = decoder.Shift(level);
        (int from, int to) = window.IndexesIn(start, shift, decoder.EntryBits(level));
        for (int i = from; i <= to; i++)
        {
            int index = descending ? to - (i - from) : i;
            DecodedEntry entry = decoder.Read(table, level, index);
            PageRights below = entry.Entry.P ? decoder.Narrow(rights, entry.Entry, level) : rights;
            ulong first = start + ((ulong)index << shift);
            bool isTable = entry.Kind == TableEntryKind.Table;
            RegionSummary summary = isTable ? regions.Of(entry.Target, level - 1, below) : regions.Leaf(entry, level, below);
            if (summary.IsUniform)
            {
                yield return new(Math.Max(first, window.First), Math.Min(first + ((1UL << shift) - 1), window.Last), summary.First);
                continue;
            }

            foreach (Stretch piece in Stretches(entry.Target, level - 1, below, first, window, descending))
            {
                yield return piece;
            }
        }
    }

    private IEnumerable<MappedPage> PagesOf(GvaRange window, Func<ulong, int, PageRights, bool> hasAny, Func<DecodedEntry, int, bool> wanted)
    {
        foreach (PositionRange part in PartsOf(window))
        {
            foreach (MappedPage page in PagesOf(decoder.Root, decoder.TopLevel, AllRights, 0, part, hasAny, wanted))
            {
                yield return page;
            }
        }
    }

    private IEnumerable<MappedPage> PagesOf(
        ulong table, int level, PageRights rights, ulong start, PositionRange window, Func<ulong, int, PageRights, bool> hasAny, Func<DecodedEntry, int, bool> wanted)
    {
        int shift = decoder.Shift(level);
        (int from, int to) = window.IndexesIn(start, shift, decoder.EntryBits(level));
        for (int index = from; index <= to; index++)
        {
            DecodedEntry entry = decoder.Read(table, level, index);
            PageRights below = entry.Entry.P ? decoder.Narrow(rights, entry.Entry, level) : rights;
            ulong first = start + ((ulong)index << shift);
            if (entry.Kind == TableEntryKind.Page && wanted(entry, level))
            {
                yield return new(decoder.AddressOf(first), new Gpa(entry.Target), shift, level, entry.Address, entry.Entry, below);
            }

            if (entry.Kind != TableEntryKind.Table || !hasAny(entry.Target, level - 1, below))
            {
                continue;
            }

            foreach (MappedPage page in PagesOf(entry.Target, level - 1, below, first, window, hasAny, wanted))
            {
                yield return page;
            }
        }
    }

    private readonly record struct Stretch(ulong First, ulong Last, RegionRights Rights);
}
