namespace Quadwalk.GuestMemory;

/// <summary>
/// Moves a page to another frame (<c>migrate_pages</c>): its entries become migration entries under the notifiers, its references are frozen
/// at the expected number, the content is copied, and the entries come back with the new frame.
/// </summary>
/// <remarks>
/// The result is EAGAIN where somebody holds a reference more than the entries and the caches account for, pins among them, or has the page
/// locked; EBUSY for memory of memfd_secret and guest_memfd; EINVAL for what is no page of 4 KiB that counts references.
/// </remarks>
public sealed class MigrateOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn from;
    private readonly bool unmovable;

    /// <summary>Prepares the move of a page of 4 KiB.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="from">The frame.</param>
    /// <param name="unmovable">Move it out of movable memory, for a pin that is there to stay.</param>
    public MigrateOperation(HostKernel kernel, Pfn from, bool unmovable = false)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.from, this.unmovable) = (kernel, from, unmovable);
    }

    /// <inheritdoc/>
    public override string Name => "migrate";

    /// <summary>Where the page is now; null unless it was moved.</summary>
    public Pfn? To { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("migrate: isolate and lock the page", 0, kernel.PageBits);
        if (!TryBegin(out Pfn target))
        {
            yield break;
        }

        foreach ((AddressSpace process, Hva at) in ReverseMap.Find(kernel, from))
        {
            NotifierRange range = new(at, at + PageSize.Size4K, NotifierEvent.Migrate);
            foreach (Step step in process.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("migrate: put a migration entry", process.TableBit, process.TableBit);
            MigrationEntries.TryPut(kernel, process, at, from);
            foreach (Step step in process.NotifyEnd(range))
            {
                yield return step;
            }
        }

        yield return Step.Do("migrate: freeze the references and copy", 0, kernel.PageBits);
        Result = TryMove(target) ? Errno.None : Errno.EAGAIN;
        Pfn now = Result == Errno.None ? target : from;
        foreach ((AddressSpace process, Hva at) in ReverseMap.FindMigration(kernel, now, from))
        {
            yield return Step.Do("migrate: remove a migration entry", process.TableBit, process.TableBit);
            MigrationEntries.Remove(process, at, from, now);
        }

        yield return Step.Do("migrate: give the other frame back", 0, kernel.PageBits);
        MigrationEntries.RemoveAll(kernel, from, now);
        kernel.Folios.Unlock(from);
        kernel.Swap.DropUnused(now);
        To = Result == Errno.None ? target : null;
        kernel.Folios.Put(target);
        kernel.Folios.Put(from);
    }

    private bool TryBegin(out Pfn target)
    {
        target = default;
        ref PageFrame folio = ref kernel.Frames[from];
        if (!kernel.Folios.IsRefCounted(from) || folio.Has(FrameFlags.Tail) || folio.Order != 0 || folio.Has(FrameFlags.Kernel))
        {
            Result = Errno.EINVAL;
            return false;
        }

        Result = folio.Has(FrameFlags.Anon) ? Errno.None : kernel.FileOf(folio.Mapping)?.MigrationRefusal ?? Errno.None;
        if (Result == Errno.None && (folio.Flags & (FrameFlags.Locked | FrameFlags.Writeback)) != 0)
        {
            Result = Errno.EAGAIN;
        }

        if (Result != Errno.None)
        {
            return false;
        }

        if (kernel.Allocator.Allocate(0, unmovable ? FrameFlags.None : folio.Flags & (FrameFlags.Anon | FrameFlags.PageCache)) is not Pfn made)
        {
            Result = Errno.ENOMEM;
            return false;
        }

        target = made;
        kernel.Frames[target].Flags = FrameFlags.None;
        folio.Flags |= FrameFlags.Locked;
        kernel.Folios.Get(from);
        return true;
    }

    private bool TryMove(Pfn target)
    {
        ref PageFrame old = ref kernel.Frames[from];
        ref PageFrame copy = ref kernel.Frames[target];
        bool free = old.PinCount == 0 && old.RefCount == kernel.Folios.Expected(from) + 1 && old.MapCount == 0;
        if ((!free && !kernel.Injects(InjectedFaults.MigratePinned)) || old.Has(FrameFlags.HwPoison))
        {
            return false;
        }

        kernel.Frames.Bytes(from).CopyTo(kernel.Frames.Bytes(target));
        (copy.Mapping, copy.Index) = (old.Mapping, old.Index);
        copy.Flags |= old.Flags & (FrameFlags.Anon | FrameFlags.Dirty | FrameFlags.Accessed);
        if (old.Has(FrameFlags.PageCache))
        {
            kernel.FileOf(old.Mapping)?.Move(from, target);
        }
        else if (old.Has(FrameFlags.SwapCache))
        {
            kernel.Swap.Move(from, target);
        }

        return true;
    }
}
