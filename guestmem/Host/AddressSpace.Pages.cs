namespace Quadwalk.GuestMemory;

/// <content>What changes entries: each operation tells the notifiers, flushes, and gives the pages back afterwards.</content>
public sealed partial class AddressSpace
{
    /// <summary>Flushes of this process's translations.</summary>
    public long Flushes { get; internal set; }

    /// <summary>Faults that NUMA hints have caused.</summary>
    public long NumaHintFaults { get; internal set; }

    /// <summary>handle_mm_fault: makes the entry that an access needs.</summary>
    /// <param name="hva">The address.</param>
    /// <param name="write">The access is a write.</param>
    public FaultOperation Fault(Hva hva, bool write) => new(this, hva, write);

    /// <summary>munmap: removes ranges and their pages.</summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="pages">How many pages.</param>
    public HostOperation Unmap(Hva start, ulong pages) => new UnmapOperation(this, start, End(start, pages), NotifierEvent.Unmap, removeAreas: true);

    /// <summary>madvise(MADV_DONTNEED): drops the pages and keeps the ranges.</summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="pages">How many pages.</param>
    public HostOperation Discard(Hva start, ulong pages) => new UnmapOperation(this, start, End(start, pages), NotifierEvent.Clear, removeAreas: false);

    /// <summary>mprotect: changes what ranges allow.</summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="pages">How many pages.</param>
    /// <param name="rights">Any of <see cref="VmFlags.Read"/>, <see cref="VmFlags.Write"/>, <see cref="VmFlags.Exec"/>.</param>
    /// <param name="key">The protection key that the range gets (pkey_mprotect); null: it keeps its own.</param>
    public HostOperation Protect(Hva start, ulong pages, VmFlags rights, int? key = null) =>
        new ProtectOperation(this, start, End(start, pages), rights, key);

    /// <summary>
    /// change_prot_numa: takes the rights of a range's entries away and leaves those of the range, so that the next access shows who uses the pages.
    /// </summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="pages">How many pages.</param>
    public HostOperation HintNuma(Hva start, ulong pages) => new NumaHintOperation(this, start, End(start, pages));

    internal IEnumerable<Step> NotifyStart(NotifierRange range)
    {
        if (!Kernel.Injects(InjectedFaults.SkipNotifier))
        {
            foreach (MmuNotifier notifier in notifiers.ToArray())
            {
                yield return Step.Through(notifier.InvalidateStart(range));
            }
        }
    }

    internal IEnumerable<Step> NotifyEnd(NotifierRange range)
    {
        if (!Kernel.Injects(InjectedFaults.SkipNotifier))
        {
            foreach (MmuNotifier notifier in notifiers.ToArray())
            {
                yield return Step.Through(notifier.InvalidateEnd(range));
            }
        }
    }

    /// <summary>
    /// What a change of a range is to be told as: with all of a large page that reaches over an end, and has to be split
    /// (<c>__split_huge_pmd</c>). A translation that somebody makes of another part of that page has the whole page's size.
    /// </summary>
    internal NotifierRange WholePages(Hva start, Hva end, NotifierEvent reason)
    {
        if (Tables.Find(start, out int first).IsLargePage)
        {
            start = new Hva(start.Value >> HostPageTable.Shift(first) << HostPageTable.Shift(first));
        }

        if (end.Value > 0 && Tables.Find(new Hva(end.Value - 1), out int last).IsLargePage)
        {
            end = new Hva((((end.Value - 1) >> HostPageTable.Shift(last)) + 1) << HostPageTable.Shift(last));
        }

        return new NotifierRange(start, end, reason);
    }

    /// <summary>Replaces the large page at an address by pages of the next size, each with a reference and a mapcount of its own.</summary>
    /// <returns>False if there is no frame for the table.</returns>
    internal bool TrySplitPage(Hva hva)
    {
        HostPte leaf = Tables.Find(hva, out int level);
        if (!leaf.IsLargePage)
        {
            return true;
        }

        if (!Tables.TrySplit(hva))
        {
            return false;
        }

        if (!leaf.IsSpecial)
        {
            ref PageFrame folio = ref Kernel.Frames.FolioOf(leaf.Frame);
            folio.MapCount += 511;
            folio.RefCount += 511;
        }

        return true;
    }

    /// <summary>Splits large pages until none reaches over an address; false if there is no frame for a table.</summary>
    internal bool TrySplitAt(Hva edge)
    {
        while (Tables.Find(edge, out int level) is { IsLargePage: true } && (edge.Value & ((1UL << HostPageTable.Shift(level)) - 1)) != 0)
        {
            if (!TrySplitPage(edge))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Clears the entries of a range; the pages are to be given back after a flush.</summary>
    /// <returns>False where a large page reaches over an end and there is no frame to split it with; nothing is changed then.</returns>
    internal bool TryZap(Hva start, Hva end, List<HostPte> zapped)
    {
        if (!TrySplitAt(start) || !TrySplitAt(end))
        {
            return false;
        }

        Hva from = start;
        while (Tables.TryNext(from, end, out Hva at, out HostPte entry, out int level))
        {
            Tables.Replace(at, level, default);
            zapped.Add(entry);
            from = new Hva(((at.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
        }

        return true;
    }

    internal void Release(List<HostPte> zapped)
    {
        foreach (HostPte entry in zapped)
        {
            if (entry.IsSwap)
            {
                Kernel.Swap.Free(entry.SwapSlot);
            }

            if (!entry.HoldsPage)
            {
                continue;
            }

            if (entry.IsDirty)
            {
                Kernel.Folios.MarkDirty(entry.Frame);
            }

            Kernel.Frames.FolioOf(entry.Frame).MapCount--;
            if (!Kernel.Injects(InjectedFaults.KeepReferenceOnZap))
            {
                Kernel.Folios.Put(entry.Frame);
            }
        }
    }

    private static Hva End(Hva start, ulong pages) => start + (pages << PageSize.Shift4K);

    private sealed class UnmapOperation(AddressSpace mm, Hva start, Hva end, NotifierEvent reason, bool removeAreas) : HostOperation<Errno>
    {
        public override string Name => removeAreas ? "munmap" : "madvise";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire($"{Name}: mmap_lock", mm.MmapLock);
            if (removeAreas)
            {
                mm.SplitAreaAt(start);
                mm.SplitAreaAt(end);
            }

            NotifierRange range = mm.WholePages(start, end, reason);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do($"{Name}: zap the entries", mm.TableBit, mm.TableBit);
            List<HostPte> zapped = [];
            Result = mm.TryZap(start, end, zapped) ? Errno.None : Errno.ENOMEM;
            if (removeAreas && Result == Errno.None)
            {
                mm.RemoveAreas(start, end);
            }

            mm.Flushes += zapped.Count > 0 ? 1 : 0;
            yield return Step.Do($"{Name}: give the pages back", 0, mm.TableBit);
            mm.Release(zapped);
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do($"{Name}: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }
    }

    private sealed class ProtectOperation(AddressSpace mm, Hva start, Hva end, VmFlags rights, int? key) : HostOperation<Errno>
    {
        private const VmFlags Rights = VmFlags.Read | VmFlags.Write | VmFlags.Exec;

        public override string Name => "mprotect";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("mprotect: mmap_lock", mm.MmapLock);
            mm.SplitAreaAt(start);
            mm.SplitAreaAt(end);
            NotifierRange range = mm.WholePages(start, end, NotifierEvent.Protection);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("mprotect: change the entries", mm.TableBit, mm.TableBit);
            if (!mm.TrySplitAt(start) || !mm.TrySplitAt(end))
            {
                Result = Errno.ENOMEM;
            }
            foreach (VirtualMemoryArea area in Result == Errno.None ? mm.areas : [])
            {
                if (area.Start.Value >= start.Value && area.End.Value <= end.Value)
                {
                    area.Flags = (area.Flags & ~Rights) | (rights & Rights);
                    area.ProtectionKey = key ?? area.ProtectionKey;
                }
            }

            if (Result == Errno.None)
            {
                ChangeEntries();
            }

            mm.Flushes++;
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do("mprotect: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }

        private void ChangeEntries()
        {
            bool readable = (rights & VmFlags.Read) != 0;
            bool writable = (rights & VmFlags.Write) != 0;
            Hva from = start;
            while (mm.Tables.TryNext(from, end, out Hva at, out HostPte entry, out int level))
            {
                if (entry.IsPresent || entry.IsWithoutRights)
                {
                    HostPte changed = entry.IsPresent == readable ? entry : entry.WithRights(readable).WriteProtected;
                    changed = writable || !changed.IsWritable ? changed : changed.WriteProtected;
                    mm.Tables.Replace(at, level, key is int number ? changed.WithKey(number) : changed);
                }

                from = new Hva(((at.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
            }
        }
    }
}
