namespace Quadwalk.GuestMemory;

/// <summary>
/// A set of modelled page tables made real: for each entry that maps a frame of the host's, a shared mapping of that frame with the entry's
/// rights; for every other address, none.
/// </summary>
/// <remarks>
/// The addresses lie 1 GiB by 1 GiB in reserved ranges, so that a page of any size is one mapping. The windows that a process has in the kernel's
/// half are in its tables, and so here too. It lives until the tables are freed, or the host ends.
/// </remarks>
public sealed class RealAddressSpace : IDisposable
{
    // The last entry of a top table is left out: what lies after it would be address 0 again.
    private const ulong KernelStart = 0xffff_8000_0000_0000;
    private const ulong KernelEnd = 0xffff_ff80_0000_0000;

    private readonly RealMirror mirror;
    private readonly HostPageTable tables;
    private readonly PageFrames frames;
    private readonly Dictionary<ulong, AddressReservation> ranges = [];
    private readonly Dictionary<ulong, int> mapped = [];

    internal RealAddressSpace(RealMirror mirror, HostPageTable tables, PageFrames frames)
    {
        this.mirror = mirror;
        this.tables = tables;
        this.frames = frames;
    }

    /// <summary>How many entries are real now.</summary>
    public int Count => mapped.Count;

    /// <summary>Where an address that the tables decide about lies in this process.</summary>
    /// <returns>False: none near it was ever mapped.</returns>
    public bool TryTranslate(Hva hva, out Hva real)
    {
        bool found = ranges.TryGetValue(hva.Value >> HostPageTable.Shift(3), out AddressReservation? range);
        real = found ? new Hva((ulong)range!.Start + (hva.Value & (PageSize.Size1G - 1))) : default;
        return found;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (AddressReservation range in ranges.Values)
        {
            range.Dispose();
        }

        ranges.Clear();
        mapped.Clear();
        mirror.Remove(this);
    }

    /// <summary>An entry has changed: makes what it spans as the tables now have it.</summary>
    /// <param name="hva">An address that it decides about.</param>
    /// <param name="level">Its level.</param>
    internal void Changed(Hva hva, int level)
    {
        ulong size = 1UL << HostPageTable.Shift(level);
        Hva start = new(hva.Value & ~(size - 1));
        HostPte whole = tables.Find(start, out int leaf);
        if (leaf == level && whole.IsPresent && IsMemory(whole.Frame, size))
        {
            Forget(start, size);
            Map(start, whole, level);
            return;
        }

        Clear(start, size);
        Hva from = start;
        Hva end = start + size;
        while (tables.TryNext(from, end, out Hva at, out HostPte entry, out int found))
        {
            ulong step = 1UL << HostPageTable.Shift(found);
            Hva page = new(at.Value & ~(step - 1));
            if (entry.IsPresent && IsMemory(entry.Frame, step))
            {
                Map(page, entry, found);
            }

            from = page + step;
        }
    }

    /// <summary>Compares every mapping with the tables, and looks for an entry of theirs that has none.</summary>
    /// <param name="compared">Grows by the pages looked at.</param>
    /// <returns>The first difference, in words; null: none.</returns>
    internal string? Compare(ref long compared)
    {
        foreach ((ulong address, int level) in mapped)
        {
            if (Differs(new Hva(address)) is string stale)
            {
                return stale;
            }

            compared++;
            if (level > 1 && Differs(new Hva(address + (1UL << HostPageTable.Shift(level)) - 1).Page) is string inside)
            {
                return inside;
            }
        }

        return FindUnmapped(default, new Hva(HostPageTable.UserEnd)) ?? FindUnmapped(new Hva(KernelStart), new Hva(KernelEnd));
    }

    /// <summary>Compares the pages of ranges, absent ones too.</summary>
    /// <param name="areas">The ranges.</param>
    /// <param name="compared">Grows by the pages looked at.</param>
    /// <returns>The first difference, in words; null: none.</returns>
    internal string? Compare(IReadOnlyList<VirtualMemoryArea> areas, ref long compared)
    {
        foreach (VirtualMemoryArea area in areas)
        {
            Hva from = area.Start;
            while (from.Value < area.End.Value)
            {
                tables.Find(from, out int level);
                compared++;
                if (Differs(from) is string difference)
                {
                    return difference;
                }

                from = new Hva(((from.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
            }
        }

        return null;
    }

    private string? FindUnmapped(Hva start, Hva end)
    {
        for (Hva from = start; tables.TryNext(from, end, out Hva at, out HostPte entry, out int level);)
        {
            ulong size = 1UL << HostPageTable.Shift(level);
            Hva page = new(at.Value & ~(size - 1));
            if (entry.IsPresent && IsMemory(entry.Frame, size) && mapped.GetValueOrDefault(page.Value) != level)
            {
                return $"tables {tables.Root} at {page}: the model maps a page of level {level}, and none is there";
            }

            from = page + size;
        }

        return null;
    }

    private string? Differs(Hva hva)
    {
        HostPte entry = tables.Find(hva, out int level);
        Pfn frame = HostPageTable.FrameOf(entry, hva, level);
        bool readable = entry.IsPresent && IsMemory(frame, PageSize.Size4K);
        bool known = TryTranslate(hva, out Hva real);
        return RealPage.Differs($"tables {tables.Root} at {hva}", known ? real : null, readable, readable && entry.IsWritable, readable ? frames.Bytes(frame) : default);
    }

    private bool IsMemory(Pfn first, ulong size) => first.Value < frames.Count && frames.Count - first.Value >= size >> PageSize.Shift4K;

    private void Clear(Hva start, ulong size)
    {
        // A change above 1 GiB is one of tables, which hold no pages yet or none any more.
        if (size <= PageSize.Size1G && ranges.TryGetValue(start.Value >> HostPageTable.Shift(3), out AddressReservation? range))
        {
            range.Clear(start.Value & (PageSize.Size1G - 1), size);
            Forget(start, size);
        }
    }

    private void Map(Hva page, HostPte entry, int level)
    {
        ulong number = page.Value >> HostPageTable.Shift(3);
        if (!ranges.TryGetValue(number, out AddressReservation? range))
        {
            ranges.Add(number, range = new AddressReservation(PageSize.Size1G));
        }

        ulong offset = page.Value & (PageSize.Size1G - 1);
        frames.Memory.MapOver(range.Start + (nint)offset, entry.Frame.Value << PageSize.Shift4K, 1UL << HostPageTable.Shift(level), entry.IsWritable);
        mapped[page.Value] = level;
    }

    private void Forget(Hva start, ulong size)
    {
        if (size == PageSize.Size4K)
        {
            mapped.Remove(start.Value);
            return;
        }

        foreach (ulong address in mapped.Keys)
        {
            _ = address - start.Value < size && mapped.Remove(address);
        }
    }
}
