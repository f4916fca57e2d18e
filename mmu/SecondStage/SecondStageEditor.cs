using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Changes second-stage tables; what <see cref="EptBuilder"/> and <see cref="NptBuilder"/> have in common.</summary>
/// <remarks>
/// Entries change by compare-and-swap, so that flags set by a walk beside it are not lost. A table that is dropped goes back to its frames at
/// once: whoever has cached it, or walks it, must be stopped or told first.
/// </remarks>
internal sealed class SecondStageEditor<TEncoding>
    where TEncoding : struct, ISecondStageEncoding
{
    private const int EntriesPerTable = 512;
    private const ulong AddressMask = PageTableEntry.AddressMask4K;

    private readonly ISecondStageFrames frames;
    private readonly int levels;

    public SecondStageEditor(ISecondStageFrames frames, int levels)
    {
        ArgumentNullException.ThrowIfNull(frames);
        if (levels is not (4 or 5))
        {
            throw new ArgumentOutOfRangeException(nameof(levels), levels, "There are tables of 4 or 5 levels.");
        }

        this.frames = frames;
        this.levels = levels;
        Root = Allocate();
    }

    public Hpa Root { get; }

    public int TableFrames { get; private set; }

    /// <summary>Maps a range of which nothing is mapped.</summary>
    public void Map(Gpa gpa, Hpa hpa, ulong length, ulong attributes, int largestPageShift)
    {
        ulong last = CheckRange(gpa, length);
        const ulong end = AddressMask + PageSize.Size4K;
        if (hpa.PageOffset != 0 || hpa.Value >= end || length > end - hpa.Value)
        {
            throw new ArgumentOutOfRangeException(nameof(hpa), hpa, "A host-physical range is whole pages below 2^52.");
        }

        CheckPageShift(largestPageShift);
        CheckUnmapped(Root, levels, gpa.Value, last);
        MapPart(Root, levels, gpa.Value, last, hpa.Value - gpa.Value, attributes, largestPageShift);
    }

    /// <summary>Maps one page where nothing is mapped, and allocates nothing in the host. False when a table needs a frame and there is none: tables that were made stay.</summary>
    public bool TryMapPage(Gpa gpa, Hpa hpa, int pageShift, ulong attributes)
    {
        CheckPageShift(pageShift);
        ulong offset = (1UL << pageShift) - 1;
        _ = CheckRange(gpa, offset + 1);
        if (((gpa.Value | hpa.Value) & offset) != 0 || (hpa.Value & ~AddressMask) != 0)
        {
            throw new ArgumentException($"A page of 0x{offset + 1:x} bytes does not map {gpa} to {hpa}.", nameof(hpa));
        }

        Hpa table = Root;
        int level = levels;
        while (true)
        {
            int shift = SecondStageSlice.Shift(level);
            Hpa entry = table + (((gpa.Value >> shift) & (EntriesPerTable - 1)) * sizeof(ulong));
            ulong raw = Read(entry);
            bool present = TEncoding.IsPresent(raw);
            if (present && (shift == pageShift || TEncoding.MapsPage(raw, level)))
            {
                throw MappedAlready(gpa.Value, level, entry, raw);
            }

            if (shift == pageShift)
            {
                Write(entry, TEncoding.Page(hpa.Value, level, attributes));
                return true;
            }

            if (!present)
            {
                if (!frames.TryAllocate(out Pfn frame))
                {
                    return false;
                }

                TableFrames++;
                raw = TEncoding.Reference(frame.Address.Value);
                Write(entry, raw);
            }

            table = new Hpa(raw & AddressMask);
            level--;
        }
    }

    /// <summary>Unmaps what is mapped in a range, splitting pages that reach beyond it and dropping tables that became empty.</summary>
    /// <returns>How many entries that mapped pages were cleared.</returns>
    public int Unmap(Gpa gpa, ulong length) => UnmapPart(Root, levels, gpa.Value, CheckRange(gpa, length));

    /// <summary>Changes attributes of what is mapped in a range, splitting pages that reach beyond it.</summary>
    /// <returns>How many entries were changed.</returns>
    public int Protect(Gpa gpa, ulong length, ulong mask, ulong attributes) =>
        ProtectPart(Root, levels, gpa.Value, CheckRange(gpa, length), mask, attributes);

    /// <summary>Splits the pages of a range that are larger than asked for.</summary>
    /// <returns>How many pages were split, those that came from a split included.</returns>
    public int Split(Gpa gpa, ulong length, int pageShift)
    {
        CheckPageShift(pageShift);
        return SplitPart(Root, levels, gpa.Value, CheckRange(gpa, length), pageShift);
    }

    /// <summary>Joins tables whose 512 pages follow each other with the same attributes; their A and D flags are combined by OR.</summary>
    /// <returns>How many tables became pages.</returns>
    public int Merge(Gpa gpa, ulong length, int largestPageShift)
    {
        CheckPageShift(largestPageShift);
        return MergePart(Root, levels, gpa.Value, CheckRange(gpa, length), largestPageShift);
    }

    /// <summary>Drops every mapping; the root stays.</summary>
    public void Clear()
    {
        for (ulong i = 0; i < EntriesPerTable; i++)
        {
            Hpa entry = Root + (i * sizeof(ulong));
            ulong raw = Exchange(entry, static _ => 0);
            if (TEncoding.IsPresent(raw))
            {
                DropTable(raw, levels);
            }
        }
    }

    /// <summary>Gives all frames back, the root too.</summary>
    public void Free()
    {
        Clear();
        frames.Free(Root.Frame);
        TableFrames--;
    }

    private void MapPart(Hpa table, int level, ulong first, ulong last, ulong delta, ulong attributes, int largestPageShift)
    {
        int shift = SecondStageSlice.Shift(level);
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            bool present = TEncoding.IsPresent(raw);
            bool fits = slice.IsWhole && ((slice.First + delta) & ((1UL << shift) - 1)) == 0;
            if (!present && level <= 3 && shift <= largestPageShift && fits)
            {
                Write(slice.Entry, TEncoding.Page(slice.First + delta, level, attributes));
                continue;
            }

            if (!present)
            {
                raw = TEncoding.Reference(Allocate().Value);
                Write(slice.Entry, raw);
            }

            MapPart(new Hpa(raw & AddressMask), level - 1, slice.First, slice.Last, delta, attributes, largestPageShift);
        }
    }

    private void CheckUnmapped(Hpa table, int level, ulong first, ulong last)
    {
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            if (!TEncoding.IsPresent(raw))
            {
                continue;
            }

            if (TEncoding.MapsPage(raw, level))
            {
                throw MappedAlready(slice.First, level, slice.Entry, raw);
            }

            CheckUnmapped(new Hpa(raw & AddressMask), level - 1, slice.First, slice.Last);
        }
    }

    private int UnmapPart(Hpa table, int level, ulong first, ulong last)
    {
        int cleared = 0;
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            if (!TEncoding.IsPresent(raw))
            {
                continue;
            }

            if (TEncoding.MapsPage(raw, level))
            {
                if (slice.IsWhole)
                {
                    _ = Exchange(slice.Entry, static _ => 0);
                    cleared++;
                    continue;
                }

                raw = SplitEntry(slice.Entry, level);
            }

            Hpa below = new(raw & AddressMask);
            cleared += UnmapPart(below, level - 1, slice.First, slice.Last);
            if (IsEmpty(below))
            {
                _ = Exchange(slice.Entry, static _ => 0);
                Release(below);
            }
        }

        return cleared;
    }

    private int ProtectPart(Hpa table, int level, ulong first, ulong last, ulong mask, ulong attributes)
    {
        int changed = 0;
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            if (!TEncoding.IsPresent(raw))
            {
                continue;
            }

            if (TEncoding.MapsPage(raw, level))
            {
                if ((raw & mask) == attributes)
                {
                    continue;
                }

                if (slice.IsWhole)
                {
                    _ = Exchange(slice.Entry, current => (current & ~mask) | attributes);
                    changed++;
                    continue;
                }

                raw = SplitEntry(slice.Entry, level);
            }

            changed += ProtectPart(new Hpa(raw & AddressMask), level - 1, slice.First, slice.Last, mask, attributes);
        }

        return changed;
    }

    private int SplitPart(Hpa table, int level, ulong first, ulong last, int pageShift)
    {
        int split = 0;
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            if (!TEncoding.IsPresent(raw) || SecondStageSlice.Shift(level) <= pageShift)
            {
                continue;
            }

            if (TEncoding.MapsPage(raw, level))
            {
                raw = SplitEntry(slice.Entry, level);
                split++;
            }

            split += SplitPart(new Hpa(raw & AddressMask), level - 1, slice.First, slice.Last, pageShift);
        }

        return split;
    }

    private int MergePart(Hpa table, int level, ulong first, ulong last, int largestPageShift)
    {
        int merged = 0;
        foreach (SecondStageSlice slice in SecondStageSlice.Over(table, level, first, last))
        {
            ulong raw = Read(slice.Entry);
            if (level == 1 || !TEncoding.IsPresent(raw) || TEncoding.MapsPage(raw, level))
            {
                continue;
            }

            Hpa below = new(raw & AddressMask);
            merged += MergePart(below, level - 1, slice.First, slice.Last, largestPageShift);
            if (level <= 3 && slice.IsWhole && SecondStageSlice.Shift(level) <= largestPageShift && JoinedPage(below, level - 1) is { } page)
            {
                _ = Exchange(slice.Entry, _ => page);
                Release(below);
                merged++;
            }
        }

        return merged;
    }

    /// <summary>The entry that maps what a table of 512 pages maps, or null if one entry cannot.</summary>
    private ulong? JoinedPage(Hpa table, int level)
    {
        ulong size = 1UL << SecondStageSlice.Shift(level);
        ulong start = 0;
        ulong attributes = 0;
        ulong flags = 0;
        for (ulong i = 0; i < EntriesPerTable; i++)
        {
            ulong raw = Read(table + (i * sizeof(ulong)));
            if (!TEncoding.IsPresent(raw) || !TEncoding.MapsPage(raw, level))
            {
                return null;
            }

            ulong address = raw & PageTableEntry.AddressMask(SecondStageSlice.Shift(level));
            if (i == 0)
            {
                (start, attributes) = (address, TEncoding.AttributesOf(raw, level));
            }

            if (address != start + (i * size) || TEncoding.AttributesOf(raw, level) != attributes || (start & ((size * EntriesPerTable) - 1)) != 0)
            {
                return null;
            }

            flags |= raw & (TEncoding.Accessed | TEncoding.Dirty);
        }

        return TEncoding.Page(start, level + 1, attributes) | flags;
    }

    /// <summary>Replaces a page by a table of 512 smaller ones with its attributes and flags; returns the entry as it is now.</summary>
    private ulong SplitEntry(Hpa entry, int level)
    {
        Hpa table = Allocate();
        ulong size = 1UL << SecondStageSlice.Shift(level - 1);
        while (true)
        {
            ulong raw = Read(entry);
            ulong start = raw & PageTableEntry.AddressMask(SecondStageSlice.Shift(level));
            ulong flags = raw & (TEncoding.Accessed | TEncoding.Dirty);
            for (ulong i = 0; i < EntriesPerTable; i++)
            {
                Write(table + (i * sizeof(ulong)), TEncoding.Page(start + (i * size), level - 1, TEncoding.AttributesOf(raw, level)) | flags);
            }

            ulong reference = TEncoding.Reference(table.Value) | (raw & TEncoding.Accessed);
            if (TryExchange(entry, raw, reference))
            {
                return reference;
            }
        }
    }

    private void DropTable(ulong raw, int level)
    {
        if (TEncoding.MapsPage(raw, level))
        {
            return;
        }

        Hpa table = new(raw & AddressMask);
        for (ulong i = 0; i < EntriesPerTable; i++)
        {
            ulong below = Read(table + (i * sizeof(ulong)));
            if (TEncoding.IsPresent(below))
            {
                DropTable(below, level - 1);
            }
        }

        Release(table);
    }

    private bool IsEmpty(Hpa table)
    {
        for (ulong i = 0; i < EntriesPerTable; i++)
        {
            if (TEncoding.IsPresent(Read(table + (i * sizeof(ulong)))))
            {
                return false;
            }
        }

        return true;
    }

    private Hpa Allocate()
    {
        if (!frames.TryAllocate(out Pfn frame))
        {
            throw new InvalidOperationException($"No frame is left for second-stage tables; {TableFrames} are in use.");
        }

        TableFrames++;
        return frame.Address;
    }

    private void Release(Hpa table)
    {
        frames.Free(table.Frame);
        TableFrames--;
    }

    private ulong Read(Hpa entry) => frames.TryRead(entry, out ulong raw) ? raw : throw Unreachable(entry);

    private void Write(Hpa entry, ulong raw)
    {
        if (!frames.TryWrite(entry, raw))
        {
            throw Unreachable(entry);
        }
    }

    private bool TryExchange(Hpa entry, ulong before, ulong after) =>
        frames.TryCompareExchange(entry, before, after, out bool exchanged) ? exchanged : throw Unreachable(entry);

    /// <summary>Replaces an entry by what becomes of it, and returns what it was.</summary>
    private ulong Exchange(Hpa entry, Func<ulong, ulong> change)
    {
        while (true)
        {
            ulong before = Read(entry);
            if (TryExchange(entry, before, change(before)))
            {
                return before;
            }
        }
    }

    private static InvalidOperationException MappedAlready(ulong gpa, int level, Hpa entry, ulong raw) =>
        new($"0x{gpa:x} is mapped already, by the {SecondStageDescription.LevelName(level)} at {entry} = 0x{raw:x16}.");

    private static InvalidOperationException Unreachable(Hpa entry) => new($"The second-stage tables cannot be reached at {entry}.");

    private ulong CheckRange(Gpa gpa, ulong length)
    {
        ulong end = 1UL << Math.Min(SecondStageSlice.Shift(levels + 1), 52);
        if (length == 0 || ((gpa.Value | length) & PageSize.Mask4K) != 0)
        {
            throw new ArgumentException($"0x{length:x} bytes at {gpa} are not whole pages.", nameof(gpa));
        }

        if (gpa.Value >= end || length > end - gpa.Value)
        {
            throw new ArgumentOutOfRangeException(nameof(gpa), gpa, $"Tables of {levels} levels translate addresses below 0x{end:x}.");
        }

        return gpa.Value + (length - 1);
    }

    private static void CheckPageShift(int shift)
    {
        if (shift is not (PageSize.Shift4K or PageSize.Shift2M or PageSize.Shift1G))
        {
            throw new ArgumentOutOfRangeException(nameof(shift), shift, "A page's size is 2^12, 2^21 or 2^30 bytes.");
        }
    }
}
