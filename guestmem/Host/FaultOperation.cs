namespace Quadwalk.GuestMemory;

/// <summary>
/// A process's page fault (<c>handle_mm_fault</c>): finds the range, and makes the entry that the access needs, or says why not.
/// </summary>
/// <remarks>
/// <see cref="VmFault.NoPage"/> is success: the entry is there. Pages get one reference and one in mapcount for each entry that maps them, at
/// the head of their folio. A copy on write tells the notifiers, as <c>wp_page_copy</c> does.
/// </remarks>
public sealed partial class FaultOperation : HostOperation<VmFault>
{
    private readonly AddressSpace mm;
    private readonly Hva hva;
    private readonly FaultFlags flags;
    private readonly bool locked;
    private bool again;

    /// <summary>Prepares a fault.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">The address, at any byte.</param>
    /// <param name="write">The access is a write.</param>
    /// <param name="locked">The caller holds the mmap lock.</param>
    public FaultOperation(AddressSpace mm, Hva hva, bool write, bool locked = false)
        : this(mm, hva, write ? FaultFlags.Write : FaultFlags.None, locked)
    {
    }

    /// <summary>Prepares a fault.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">The address, at any byte.</param>
    /// <param name="flags">What it is for, and how it may wait.</param>
    /// <param name="locked">The caller holds the mmap lock; false: it is the process's own access, and a lost page is a SIGBUS.</param>
    public FaultOperation(AddressSpace mm, Hva hva, FaultFlags flags, bool locked)
    {
        ArgumentNullException.ThrowIfNull(mm);
        (this.mm, this.hva, this.flags, this.locked) = (mm, hva.Page, flags, locked);
    }

    /// <inheritdoc/>
    public override string Name => "page fault";

    /// <summary>With <see cref="VmFault.Retry"/>: the caller's mmap lock was dropped, and is not held any more.</summary>
    public bool DroppedLock { get; private set; }

    private HostKernel Kernel => mm.Kernel;

    private bool Write => (flags & FaultFlags.Write) != 0;

    private bool Unshare => (flags & FaultFlags.Unshare) != 0;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        if (!locked)
        {
            yield return Step.AcquireShared("fault: mmap_lock", mm.MmapLock);
        }

        VirtualMemoryArea? area = mm.Find(hva);
        Result = CheckAccess(area);
        for (again = Result == VmFault.NoPage; again;)
        {
            yield return Step.Do("fault: read the entry", mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            again = false;
            foreach (Step step in Handle(area!, entry, level))
            {
                yield return step;
            }
        }

        if (Result == VmFault.HwPoison && !locked)
        {
            mm.Raise(new BusError(BusErrorCode.ActionRequired, hva));
        }

        if (!locked)
        {
            yield return Step.Do("fault: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }
    }

    // handle_pte_fault: one look at the entry, and what follows from it; 'again' asks for another look.
    private IEnumerable<Step> Handle(VirtualMemoryArea area, HostPte entry, int level)
    {
        if (entry.IsMigration)
        {
            return WaitFor("the migration", () => !mm.Tables.Find(hva, out _).IsMigration);
        }

        // print_bad_pte: nobody makes such an entry valid, so that another look at it would be one without end.
        if (entry.IsBad || (entry.IsSwap && Kernel.Swap.Count(entry.SwapSlot) == 0))
        {
            Kernel.Log.Report(KernelEventKind.BadPageMap, mm.Tables.LastTable(hva) ?? mm.Tables.Root, $"the entry {entry} of {mm} at {hva} is none of the kernel's");
            Result = VmFault.SigBus;
            return [];
        }

        if (entry.IsSwap)
        {
            return SwapIn(area, entry);
        }

        if (entry.IsPoison)
        {
            Result = VmFault.HwPoison;
            return [];
        }

        if (entry.IsWithoutRights && area.IsAccessible)
        {
            return NumaHint(area, entry, level);
        }

        if (!entry.IsPresent && !entry.IsWithoutRights)
        {
            return MakePage(area);
        }

        if (entry.IsWritable || !(Write || MustUnshare(entry)) || (Write && !CanBecomeWritable(area) && IsOwnCopy(entry)))
        {
            Result = VmFault.NoPage;
            return [];
        }

        if ((area.Flags & VmFlags.Shared) != 0 && !Unshare)
        {
            return MakeWritable(area, entry, level);
        }

        return !Unshare && CanReuse(entry, level) ? Reuse(area, entry, level) : Copy(area, entry, level);
    }

    private VmFault CheckAccess(VirtualMemoryArea? area)
    {
        if (area is null)
        {
            return VmFault.SigSegv;
        }

        bool allowed = (area.Flags & (Write ? VmFlags.Write : VmFlags.Read)) != 0 && (locked || mm.AllowsKey(area.ProtectionKey, Write));
        return allowed || (flags & FaultFlags.Checked) != 0 ? VmFault.NoPage : VmFault.SigSegv;
    }

    // FOLL_FORCE: the copy is there, and stays without R/W.
    private static bool CanBecomeWritable(VirtualMemoryArea area) => (area.Flags & VmFlags.Write) != 0;

    private bool IsOwnCopy(HostPte entry) => !entry.IsSpecial && Kernel.Frames.FolioOf(entry.Frame).Has(FrameFlags.Anon | FrameFlags.AnonExclusive);

    private bool MustUnshare(HostPte entry) =>
        Unshare && !entry.IsSpecial
        && Kernel.Frames.FolioOf(entry.Frame) is var folio && folio.Has(FrameFlags.Anon) && !folio.Has(FrameFlags.AnonExclusive);

    // wp_can_reuse_anon_folio: nobody else can see the page.
    private bool CanReuse(HostPte entry, int level)
    {
        if (entry.IsSpecial)
        {
            return false;
        }

        ref PageFrame folio = ref Kernel.Frames.FolioOf(entry.Frame);
        return folio.Has(FrameFlags.Anon) && (folio.Has(FrameFlags.AnonExclusive) || (level == 1 && folio.Order == 0 && folio.MapCount == 1 && folio.RefCount == 1));
    }

    // The mmap lock is dropped for a wait only where the caller allows it, and only once.
    private IEnumerable<Step> WaitFor(string what, Func<bool> until)
    {
        if ((flags & FaultFlags.RetryNoWait) != 0)
        {
            Result = VmFault.Retry;
            yield break;
        }

        bool drop = locked && (flags & (FaultFlags.AllowRetry | FaultFlags.Tried)) == FaultFlags.AllowRetry;
        if (drop)
        {
            yield return Step.Do("fault: drop mmap_lock to wait", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
            DroppedLock = true;
        }

        yield return Step.Wait($"fault: wait for {what}", () => until() || HasSignal(), Kernel.PageBits);
        again = !drop && until();
        Result = again ? VmFault.NoPage : VmFault.Retry;
    }

    private bool HasSignal() =>
        ((flags & FaultFlags.Killable) != 0 && mm.FatalSignalPending)
        || ((flags & FaultFlags.Interruptible) != 0 && (mm.SignalPending || mm.FatalSignalPending));

    private bool TryChange(HostPte from, int level, HostPte to)
    {
        if (mm.Tables.Find(hva, out int now) != from || now != level)
        {
            return false;
        }

        mm.Tables.Replace(hva, level, to);
        return true;
    }

    // do_numa_page: the page is readable again, and writable where that needs nobody's leave.
    private IEnumerable<Step> NumaHint(VirtualMemoryArea area, HostPte entry, int level)
    {
        yield return Step.Do("fault: do_numa_page", mm.TableBit, mm.TableBit);
        HostPte back = entry.WithRights(readable: true).WriteProtected;
        if ((area.Flags & VmFlags.Write) != 0 && (area.IsCopyOnWrite ? IsOwnCopy(entry) : entry.IsDirty && !area.NeedsDirtyTracking))
        {
            back = back.MadeWritable;
        }

        mm.NumaHintFaults += TryChange(entry, level, new HostPte(back.Raw | HostPte.AccessedBit)) ? 1 : 0;
        again = true;
    }
}
