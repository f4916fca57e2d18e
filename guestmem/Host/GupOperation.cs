namespace Quadwalk.GuestMemory;

/// <summary>What get_user_pages returns: a number of pages, or an error.</summary>
/// <param name="Pages">How many pages, 0 or more; with an error 0. 0 without an error: it would have waited (<see cref="FollFlags.NoWait"/>).</param>
/// <param name="Error">Why there is none.</param>
public readonly record struct GupResult(int Pages, Errno Error)
{
    /// <summary>There is at least one page, or nothing went wrong.</summary>
    public bool Succeeded => Error == Errno.None;
}

/// <summary>
/// get_user_pages for a range of addresses (<c>mm/gup.c</c>): first the way without locks, then the one that finds ranges and takes faults.
/// </summary>
/// <remarks>
/// The fast way reads the entry, takes the reference, and reads the entry again; it sees folios and no ranges. The slow way asks the range
/// first: VM_IO, VM_PFNMAP and memory without a direct map are EFAULT. Both must refuse the same pages. Flags that the fast way does not know
/// go the slow way at once, as get_user_pages_unlocked does. EINVAL: <see cref="FollFlags.Get"/> and <see cref="FollFlags.Pin"/>
/// together, <see cref="FollFlags.LongTerm"/> without a pin or with <see cref="FollFlags.PciP2pDma"/>, flags that only the operation itself may
/// set, and <see cref="FollFlags.FastOnly"/> with flags for the slow way.
/// </remarks>
public sealed partial class GupOperation : HostOperation<GupResult>
{
    private readonly AddressSpace mm;
    private readonly Hva start;
    private readonly Pfn[] frames;
    private readonly bool locked;
    private FollFlags flags;
    private Errno error;
    private bool gaveUp;
    private int done;

    /// <summary>Prepares it.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="start">The first address.</param>
    /// <param name="count">How many pages: 1 or more.</param>
    /// <param name="flags">How.</param>
    /// <param name="locked">
    /// The caller holds the mmap lock (get_user_pages): with <see cref="FollFlags.Unlockable"/> it may come back without it.
    /// </param>
    public GupOperation(AddressSpace mm, Hva start, int count, FollFlags flags, bool locked = false)
    {
        ArgumentNullException.ThrowIfNull(mm);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        (this.mm, this.start, this.flags, this.locked) = (mm, start.Page, flags, locked);
        frames = new Pfn[count];
    }

    /// <inheritdoc/>
    public override string Name => "get_user_pages";

    /// <summary>The frames of the pages that were got.</summary>
    public ReadOnlySpan<Pfn> Frames => frames.AsSpan(0, Result.Pages);

    /// <summary>The lock that the caller held was dropped, and is not held any more.</summary>
    public bool DroppedLock { get; private set; }

    private HostKernel Kernel => mm.Kernel;

    private Folios Folios => mm.Kernel.Folios;

    private bool Write => (flags & FollFlags.Write) != 0;

    private bool Counts => (flags & (FollFlags.Get | FollFlags.Pin)) != 0;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        if (!GupRules.IsValid(flags, locked))
        {
            Result = new GupResult(0, Errno.EINVAL);
            yield break;
        }

        while (!locked && done < frames.Length && GupRules.TriesFast(flags))
        {
            Hva hva = At(done);
            yield return Step.Do("gup fast: read the entry", mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            if (!GupRules.FastAllows(mm, entry, level, hva, flags))
            {
                break;
            }

            yield return Step.Do("gup fast: try_grab_folio", mm.TableBit, mm.TableBit);
            Pfn frame = HostPageTable.FrameOf(entry, hva, level);
            if (!TryGrab(frame))
            {
                break;
            }

            yield return Step.Do("gup fast: read the entry again", mm.TableBit, mm.TableBit);
            if (mm.Tables.Find(hva, out int now) != entry || now != level || !GupRules.FastAllows(mm, entry, level, hva, flags))
            {
                Drop(frame);
                break;
            }

            Folios.MarkAccessed(frame);
            Audit(hva, frame);
            frames[done++] = frame;
        }

        if (done < frames.Length && (flags & FollFlags.FastOnly) == 0)
        {
            foreach (Step step in Slow())
            {
                yield return step;
            }
        }

        Result = done > 0 || error == Errno.None ? new GupResult(done, Errno.None) : new GupResult(0, error);
    }

    private Hva At(int index) => start + ((ulong)index << PageSize.Shift4K);

    private bool TryGrab(Pfn frame) => !Counts || ((flags & FollFlags.Pin) != 0 ? Folios.TryPin(frame) : Folios.TryGet(frame));

    private void Drop(Pfn frame)
    {
        if ((flags & FollFlags.Pin) != 0)
        {
            Folios.Unpin(frame);
        }
        else if (Counts)
        {
            Folios.Put(frame);
        }
    }

    // Whether the slow way would have refused what the fast way gives.
    private void Audit(Hva hva, Pfn frame)
    {
        if (Kernel.AuditsGup && GupRules.CheckArea(mm.Find(hva), flags) is Errno refused && refused != Errno.None)
        {
            Kernel.Log.Report(KernelEventKind.GupDisagreement, frame, $"GUP-fast gives {hva}, which the slow way refuses with {refused}");
        }
    }
}
