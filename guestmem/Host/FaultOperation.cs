namespace Quadwalk.GuestMemory;

/// <summary>
/// A process's page fault (<c>handle_mm_fault</c>): finds the range, and makes the entry that the access needs, or says why not.
/// </summary>
/// <remarks>
/// <see cref="VmFault.NoPage"/> is success: the entry is there. Pages get one reference and one in mapcount for each entry that maps them, at
/// the head of their folio. A copy on write tells the notifiers, as <c>wp_page_copy</c> does.
/// </remarks>
public sealed class FaultOperation : HostOperation<VmFault>
{
    private readonly AddressSpace mm;
    private readonly Hva hva;
    private readonly bool write;
    private readonly bool locked;
    private readonly bool noWait;
    private readonly bool unshare;

    /// <summary>Prepares a fault.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">The address, at any byte.</param>
    /// <param name="write">The access is a write.</param>
    /// <param name="locked">The caller holds the mmap lock.</param>
    /// <param name="noWait">Say <see cref="VmFault.Retry"/> rather than wait for a migration.</param>
    /// <param name="unshare">Make an anonymous page the process's own, as a write would, for a pin that only reads (FAULT_FLAG_UNSHARE).</param>
    public FaultOperation(AddressSpace mm, Hva hva, bool write, bool locked = false, bool noWait = false, bool unshare = false)
    {
        ArgumentNullException.ThrowIfNull(mm);
        (this.mm, this.hva, this.write, this.locked, this.noWait, this.unshare) = (mm, hva.Page, write, locked, noWait, unshare);
    }

    /// <inheritdoc/>
    public override string Name => "page fault";

    private HostKernel Kernel => mm.Kernel;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        if (!locked)
        {
            yield return Step.AcquireShared("fault: mmap_lock", mm.MmapLock);
        }

        VirtualMemoryArea? area = mm.Find(hva);
        Result = area is null || (area.Flags & (write ? VmFlags.Write : VmFlags.Read)) == 0 ? VmFault.SigSegv : VmFault.NoPage;
        bool go = Result == VmFault.NoPage;
        while (go)
        {
            yield return Step.Do("fault: read the entry", mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            if (entry.IsMigration)
            {
                if (noWait)
                {
                    Result = VmFault.Retry;
                    break;
                }

                yield return Step.Wait("fault: wait for the migration", () => !mm.Tables.Find(hva, out _).IsMigration, mm.TableBit);
                continue;
            }

            if (entry.IsPoison)
            {
                Result = VmFault.HwPoison;
                break;
            }

            if (entry.IsPresent && (entry.IsWritable || !(write || MustUnshare(entry))))
            {
                Result = VmFault.NoPage;
                break;
            }

            if (entry.IsPresent && (area!.IsCopyOnWrite || unshare))
            {
                if (!unshare && CanReuse(entry, level))
                {
                    yield return Step.Do("fault: reuse the page", mm.TableBit, mm.TableBit);
                    go = !TryChange(entry, level, entry.MadeWritable);
                    continue;
                }

                foreach (Step step in Copy(entry, level))
                {
                    yield return step;
                }

                go = Result == VmFault.Retry;
                continue;
            }

            if (entry.IsPresent)
            {
                yield return Step.Do("fault: page_mkwrite", mm.TableBit, mm.TableBit);
                Result = area!.Backing?.MakeWritable(area, hva, HostPageTable.FrameOf(entry, hva, level)) ?? VmFault.Page;
                if (Result != VmFault.Page)
                {
                    break;
                }

                go = !TryChange(entry, level, entry.MadeWritable);
                Result = VmFault.NoPage;
                if (!go && !entry.IsSpecial)
                {
                    Kernel.Folios.MarkDirty(entry.Frame);
                }

                continue;
            }

            yield return Step.Do("fault: make the page", mm.TableBit, mm.TableBit);
            if (!mm.Tables.Find(hva, out _).IsNone)
            {
                continue;
            }

            Result = area!.Backing is null ? MakeAnonymous(area) : MakeBacked(area);
            go = false;
        }

        if (!locked)
        {
            yield return Step.Do("fault: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }
    }

    private bool MustUnshare(HostPte entry) =>
        unshare && !entry.IsSpecial
        && Kernel.Frames.FolioOf(entry.Frame) is var folio && folio.Has(FrameFlags.Anon) && !folio.Has(FrameFlags.AnonExclusive);

    // wp_can_reuse_anon_folio: nobody else can see the page.
    private bool CanReuse(HostPte entry, int level)
    {
        if (entry.IsSpecial || level > 1)
        {
            return false;
        }

        ref PageFrame folio = ref Kernel.Frames.FolioOf(entry.Frame);
        return folio.Has(FrameFlags.Anon) && folio.MapCount == 1 && (folio.Has(FrameFlags.AnonExclusive) || folio.RefCount == 1);
    }

    private bool TryChange(HostPte from, int level, HostPte to)
    {
        if (mm.Tables.Find(hva, out int now) != from || now != level)
        {
            return false;
        }

        mm.Tables.Replace(hva, level, to);
        return true;
    }

    private VmFault MakeAnonymous(VirtualMemoryArea area)
    {
        const ulong largeMask = PageSize.Size2M - 1;
        Hva large = new(hva.Value & ~largeMask);
        if ((area.Flags & VmFlags.HugePage) != 0 && area.Contains(large) && large.Value + PageSize.Size2M <= area.End.Value
            && mm.Tables.Find(large, out int level).IsNone && level >= 2
            && Kernel.Allocator.Allocate(HostPageTable.OrderOf(2), FrameFlags.Anon | FrameFlags.AnonExclusive) is Pfn huge)
        {
            return Install(large, 2, huge, (area.Flags & VmFlags.Write) != 0);
        }

        return Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is Pfn page
            ? Install(hva, 1, page, (area.Flags & VmFlags.Write) != 0)
            : VmFault.OutOfMemory;
    }

    private VmFault Install(Hva at, int level, Pfn page, bool writable)
    {
        ref PageFrame folio = ref Kernel.Frames[page];
        folio.Mapping = mm.Id;
        folio.Index = at.Value >> PageSize.Shift4K;
        if (!mm.Tables.TrySet(at, level, HostPte.Map(page, writable, level)))
        {
            Kernel.Folios.Put(page);
            return VmFault.OutOfMemory;
        }

        folio.MapCount++;
        return VmFault.NoPage;
    }

    private VmFault MakeBacked(VirtualMemoryArea area)
    {
        VmFault fault = area.Backing!.Fault(area, hva, write, out Pfn page);
        if (fault != VmFault.Page)
        {
            return fault;
        }

        ref PageFrame folio = ref Kernel.Frames.FolioOf(page);
        if (area.IsCopyOnWrite && write)
        {
            if (Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is not Pfn copy)
            {
                Kernel.Folios.Put(page);
                return VmFault.OutOfMemory;
            }

            Kernel.Frames.Bytes(page).CopyTo(Kernel.Frames.Bytes(copy));
            Kernel.Folios.Put(page);
            return Install(hva, 1, copy, writable: true);
        }

        bool writable = write && (area.Flags & VmFlags.Shared) != 0;
        if (!mm.Tables.TrySet(hva, 1, HostPte.Map(page, writable)))
        {
            Kernel.Folios.Put(page);
            return VmFault.OutOfMemory;
        }

        folio.MapCount++;
        Kernel.Folios.MarkAccessed(page);
        if (writable)
        {
            Kernel.Folios.MarkDirty(page);
        }

        return VmFault.NoPage;
    }

    private IEnumerable<Step> Copy(HostPte entry, int level)
    {
        if (level > 1)
        {
            yield return Step.Do("fault: split the large page", mm.TableBit, mm.TableBit);
            Result = mm.TrySplitPage(hva) ? VmFault.Retry : VmFault.OutOfMemory;
            yield break;
        }

        yield return Step.Do("fault: copy the page", mm.TableBit, mm.TableBit);
        if (Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is not Pfn copy)
        {
            Result = VmFault.OutOfMemory;
            yield break;
        }

        Kernel.Frames.Bytes(entry.Frame).CopyTo(Kernel.Frames.Bytes(copy));
        NotifierRange range = new(hva, hva + PageSize.Size4K, NotifierEvent.Clear);
        foreach (Step step in mm.NotifyStart(range))
        {
            yield return step;
        }

        yield return Step.Do("fault: put the copy in place", mm.TableBit, mm.TableBit);
        ref PageFrame folio = ref Kernel.Frames[copy];
        (folio.Mapping, folio.Index) = (mm.Id, hva.Value >> PageSize.Shift4K);
        if (TryChange(entry, level, HostPte.Map(copy, writable: mm.Find(hva) is { IsCopyOnWrite: true })))
        {
            folio.MapCount++;
            mm.Flushes++;
            if (!entry.IsSpecial)
            {
                Kernel.Frames.FolioOf(entry.Frame).MapCount--;
                Kernel.Folios.Put(entry.Frame);
            }

            Result = VmFault.NoPage;
        }
        else
        {
            Kernel.Folios.Put(copy);
            Result = VmFault.Retry;
        }

        foreach (Step step in mm.NotifyEnd(range))
        {
            yield return step;
        }
    }
}
