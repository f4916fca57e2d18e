namespace Quadwalk.GuestMemory;

/// <summary>What get_user_pages returns: a number of pages, or an error.</summary>
/// <param name="Pages">How many pages, 0 or more; with an error 0.</param>
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
/// first: VM_IO, VM_PFNMAP and memory without a direct map are EFAULT. Both must refuse the same pages.
/// </remarks>
public sealed class GupOperation : HostOperation<GupResult>
{
    private readonly AddressSpace mm;
    private readonly Hva start;
    private readonly Pfn[] frames;
    private readonly FollFlags flags;

    /// <summary>Prepares it.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="start">The first address.</param>
    /// <param name="count">How many pages: 1 or more.</param>
    /// <param name="flags">How.</param>
    public GupOperation(AddressSpace mm, Hva start, int count, FollFlags flags)
    {
        ArgumentNullException.ThrowIfNull(mm);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        (this.mm, this.start, this.flags) = (mm, start.Page, flags);
        frames = new Pfn[count];
    }

    /// <inheritdoc/>
    public override string Name => "get_user_pages";

    /// <summary>The frames of the pages that were got.</summary>
    public ReadOnlySpan<Pfn> Frames => frames.AsSpan(0, Result.Pages);

    private Folios Folios => mm.Kernel.Folios;

    private bool Write => (flags & FollFlags.Write) != 0;

    private bool Counts => (flags & (FollFlags.Get | FollFlags.Pin)) != 0;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        int done = 0;
        while (done < frames.Length)
        {
            Hva hva = At(done);
            yield return Step.Do("gup fast: read the entry", mm.TableBit);
            HostPte entry = mm.Tables.Find(hva, out int level);
            if (!GupRules.FastAllows(mm.Kernel, entry, level, hva, flags))
            {
                break;
            }

            yield return Step.Do("gup fast: try_grab_folio", mm.TableBit, mm.TableBit);
            Pfn frame = HostPageTable.FrameOf(entry, hva, level);
            if (Counts && !TryGrab(frame))
            {
                break;
            }

            yield return Step.Do("gup fast: read the entry again", mm.TableBit, mm.TableBit);
            if (mm.Tables.Find(hva, out int now) != entry || now != level)
            {
                Drop(frame);
                break;
            }

            frames[done++] = frame;
        }

        Errno error = Errno.None;
        if (done < frames.Length && (flags & FollFlags.FastOnly) == 0)
        {
            yield return Step.AcquireShared("gup: mmap_lock", mm.MmapLock);
            while (done < frames.Length)
            {
                Hva hva = At(done);
                if (mm.FatalSignalPending || (mm.SignalPending && (flags & FollFlags.Interruptible) != 0))
                {
                    error = Errno.EINTR;
                    break;
                }

                yield return Step.Do("gup: check the range", mm.TableBit);
                VirtualMemoryArea? area = mm.Find(hva);
                error = GupRules.CheckArea(area, flags);
                if (error != Errno.None)
                {
                    break;
                }

                yield return Step.Do("gup: follow_page_mask", mm.TableBit, mm.TableBit);
                HostPte entry = mm.Tables.Find(hva, out int level);
                if (GupRules.SlowAllows(mm.Kernel, entry, flags))
                {
                    Pfn frame = HostPageTable.FrameOf(entry, hva, level);
                    if (entry.IsSpecial || (Counts && !TryGrab(frame)))
                    {
                        error = Errno.EFAULT;
                        break;
                    }

                    frames[done++] = frame;
                    continue;
                }

                if ((flags & FollFlags.NoWait) != 0 && entry.IsMigration)
                {
                    error = Errno.EAGAIN;
                    break;
                }

                FaultOperation fault = new(mm, hva, Write && (area!.Flags & VmFlags.Write) != 0, locked: true, (flags & FollFlags.NoWait) != 0, unshare: (flags & FollFlags.Pin) != 0 && !Write);
                yield return Step.Through(fault);
                if (fault.Result == VmFault.Retry && (flags & FollFlags.NoWait) == 0)
                {
                    continue;
                }

                error = GupRules.ErrorOf(fault.Result, flags);
                if (error != Errno.None)
                {
                    break;
                }
            }

            yield return Step.Do("gup: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }

        Result = done > 0 || error == Errno.None ? new GupResult(done, Errno.None) : new GupResult(0, error);
    }

    private Hva At(int index) => start + ((ulong)index << PageSize.Shift4K);

    private bool TryGrab(Pfn frame)
    {
        bool grabbed = (flags & FollFlags.Pin) != 0 ? Folios.TryPin(frame) : Folios.TryGet(frame);
        if (grabbed && Write)
        {
            Folios.MarkAccessed(frame);
        }

        return grabbed;
    }

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
}
