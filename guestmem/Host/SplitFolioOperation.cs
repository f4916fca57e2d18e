namespace Quadwalk.GuestMemory;

/// <summary>
/// Takes a compound page apart (<c>split_huge_page</c>): its entries become migration entries, its references are frozen at the expected
/// number, and each frame is a page by itself afterwards.
/// </summary>
/// <remarks>EAGAIN: somebody holds a reference or a pin, or has it locked. EINVAL: nothing to take apart, or private memory of a guest.</remarks>
public sealed class SplitFolioOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn head;

    /// <summary>Prepares it.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="page">Any frame of the compound page.</param>
    public SplitFolioOperation(HostKernel kernel, Pfn page)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, head) = (kernel, kernel.Frames.HeadOf(page));
    }

    /// <inheritdoc/>
    public override string Name => "split_huge_page";

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("split: lock the folio", 0, kernel.PageBits);
        Result = Begin();
        if (Result != Errno.None)
        {
            yield break;
        }

        ulong count = 1UL << kernel.Frames[head].Order;
        foreach ((AddressSpace process, Hva first, Hva end) in Ranges(count))
        {
            NotifierRange range = new(first, end, NotifierEvent.Clear);
            foreach (Step step in process.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("split: put migration entries", process.TableBit, process.TableBit);
            Unmap(process, first, end);
            foreach (Step step in process.NotifyEnd(range))
            {
                yield return step;
            }
        }

        yield return Step.Do("split: freeze the references, one page from each frame", 0, kernel.PageBits);
        ref PageFrame folio = ref kernel.Frames[head];
        bool ignores = kernel.Injects(InjectedFaults.SplitHeld);
        Result = folio.MapCount == 0 && folio.PinCount == 0 && folio.RefCount == kernel.Folios.Expected(head) + 1 ? Errno.None : Errno.EAGAIN;
        if (Result == Errno.None || ignores)
        {
            Result = Errno.None;
            Split();
        }

        bool split = Result == Errno.None;
        yield return Step.Do("split: remove the migration entries", 0, kernel.PageBits);
        for (ulong i = 0; i < count; i++)
        {
            Pfn page = new(head.Value + i);
            MigrationEntries.RemoveAll(kernel, page, page);
        }

        for (ulong i = 0; i < (split ? count : 1); i++)
        {
            kernel.Folios.Unlock(new Pfn(head.Value + i));
            kernel.Folios.Put(new Pfn(head.Value + i));
        }
    }

    private Errno Begin()
    {
        ref PageFrame folio = ref kernel.Frames[head];
        if (folio.Order == 0 || !kernel.Folios.IsRefCounted(head) || (folio.Flags & (FrameFlags.Anon | FrameFlags.PageCache)) == 0 || folio.Has(FrameFlags.Private))
        {
            return Errno.EINVAL;
        }

        if ((folio.Flags & (FrameFlags.Locked | FrameFlags.Writeback)) != 0 || (folio.PinCount > 0 && !kernel.Injects(InjectedFaults.SplitHeld)))
        {
            return Errno.EAGAIN;
        }

        folio.Flags |= FrameFlags.Locked;
        kernel.Folios.Get(head);
        return Errno.None;
    }

    // The parts of processes that show the folio, as ranges of addresses.
    private List<(AddressSpace Process, Hva Start, Hva End)> Ranges(ulong count)
    {
        List<(AddressSpace Process, Hva Start, Hva End)> ranges = [];
        for (ulong i = 0; i < count; i++)
        {
            foreach ((AddressSpace process, Hva at) in ReverseMap.Find(kernel, new Pfn(head.Value + i)))
            {
                int known = ranges.FindIndex(range => range.Process == process && range.End == at);
                if (known >= 0)
                {
                    ranges[known] = (process, ranges[known].Start, at + PageSize.Size4K);
                }
                else
                {
                    ranges.Add((process, at, at + PageSize.Size4K));
                }
            }
        }

        return ranges;
    }

    private void Unmap(AddressSpace process, Hva first, Hva end)
    {
        for (Hva at = first; kernel.IsAlive(process) && at.Value < end.Value; at += PageSize.Size4K)
        {
            HostPte entry = process.Tables.Find(at, out int level);
            if (entry.HoldsPage && kernel.Frames.HeadOf(HostPageTable.FrameOf(entry, at, level)) == head && process.TrySplitPage(at))
            {
                MigrationEntries.TryPut(kernel, process, at, HostPageTable.FrameOf(process.Tables.Find(at, out int now), at, now));
            }
        }
    }

    private void Split()
    {
        PageFrame whole = kernel.Frames[head];
        FrameFlags kept = whole.Flags & (FrameFlags.Anon | FrameFlags.PageCache | FrameFlags.Dirty | FrameFlags.Accessed | FrameFlags.Locked);
        int references = 1 + (whole.Has(FrameFlags.PageCache) ? 1 : 0);
        for (ulong i = 0; i < 1UL << whole.Order; i++)
        {
            ref PageFrame page = ref kernel.Frames[new Pfn(head.Value + i)];
            FrameFlags own = page.Flags & FrameFlags.HwPoison;
            page = new PageFrame { RefCount = references, Flags = kept | own, Mapping = whole.Mapping, Index = whole.Index + i };
        }

        // The whole's other references, which only a mistake leaves here, are the first page's now.
        ref PageFrame first = ref kernel.Frames[head];
        first.RefCount += whole.RefCount - (whole.Has(FrameFlags.PageCache) ? 1 << whole.Order : 0) - 1;
        (first.PinCount, first.MapCount) = (whole.PinCount, whole.MapCount);
    }
}
