namespace Quadwalk.GuestMemory;

/// <summary>
/// Moves a page to another frame (<c>migrate_pages</c>): its entries become migration entries under the notifiers, its references are frozen
/// at the expected number, the content is copied, and the entries come back with the new frame.
/// </summary>
/// <remarks>The result is EAGAIN where somebody holds a reference more than the entries and the page cache account for, pins among them.</remarks>
public sealed class MigrateOperation : HostOperation<Errno>
{
    private readonly HostKernel kernel;
    private readonly Pfn from;
    private readonly List<(AddressSpace Process, Hva At, HostPte Entry)> unmapped = [];

    /// <summary>Prepares the move of a page of 4 KiB.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="from">The frame.</param>
    public MigrateOperation(HostKernel kernel, Pfn from)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        (this.kernel, this.from) = (kernel, from);
    }

    /// <inheritdoc/>
    public override string Name => "migrate";

    /// <summary>Where the page is now; null unless it was moved.</summary>
    public Pfn? To { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        ref PageFrame folio = ref kernel.Frames[from];
        if (!kernel.Folios.IsRefCounted(from) || folio.Has(FrameFlags.Tail) || folio.Order != 0 || folio.Has(FrameFlags.Kernel))
        {
            Result = Errno.EINVAL;
            yield break;
        }

        if (folio.Has(FrameFlags.Locked))
        {
            Result = Errno.EAGAIN;
            yield break;
        }

        if (kernel.Allocator.Allocate() is not Pfn target)
        {
            Result = Errno.ENOMEM;
            yield break;
        }

        folio.Flags |= FrameFlags.Locked;
        kernel.Folios.Get(from);
        foreach ((AddressSpace process, Hva at) in ReverseMap.Find(kernel, from))
        {
            NotifierRange range = new(at, at + PageSize.Size4K, NotifierEvent.Migrate);
            foreach (Step step in process.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("migrate: put a migration entry", process.TableBit, process.TableBit);
            Unmap(process, at);
            foreach (Step step in process.NotifyEnd(range))
            {
                yield return step;
            }
        }

        ulong tables = 0;
        foreach ((AddressSpace process, _, _) in unmapped)
        {
            tables |= process.TableBit;
        }

        yield return Step.Do("migrate: freeze the references and copy", tables, ulong.MaxValue);
        Result = TryMove(target) ? Errno.None : Errno.EAGAIN;
        Pfn now = Result == Errno.None ? target : from;
        foreach ((AddressSpace process, Hva at, HostPte entry) in unmapped)
        {
            yield return Step.Do("migrate: remove a migration entry", process.TableBit, process.TableBit);
            Remap(process, at, entry, now);
        }

        yield return Step.Do("migrate: give the other frame back", 0, ulong.MaxValue);
        kernel.Frames[from].Flags &= ~FrameFlags.Locked;
        To = Result == Errno.None ? target : null;
        kernel.Folios.Put(target);
        kernel.Folios.Put(from);
    }

    private void Unmap(AddressSpace process, Hva at)
    {
        HostPte entry = process.Tables.Find(at, out int level);
        if (level != 1 || !entry.HoldsPage || entry.Frame != from)
        {
            return;
        }

        process.Tables.Replace(at, 1, HostPte.Migration(from));
        process.Flushes++;
        if (entry.IsDirty)
        {
            kernel.Folios.MarkDirty(from);
        }

        unmapped.Add((process, at, entry));
        kernel.Frames[from].MapCount--;
        kernel.Folios.Put(from);
    }

    private bool TryMove(Pfn target)
    {
        ref PageFrame old = ref kernel.Frames[from];
        ref PageFrame copy = ref kernel.Frames[target];
        int expected = 1 + (old.Has(FrameFlags.PageCache) ? 1 : 0);
        bool pinned = old.PinCount > 0 && !kernel.Injects(InjectedFaults.MigratePinned);
        if (pinned || (old.RefCount != expected && !kernel.Injects(InjectedFaults.MigratePinned)))
        {
            return false;
        }

        kernel.Frames.Bytes(from).CopyTo(kernel.Frames.Bytes(target));
        (copy.Mapping, copy.Index) = (old.Mapping, old.Index);
        copy.Flags |= old.Flags & (FrameFlags.Anon | FrameFlags.AnonExclusive | FrameFlags.Dirty | FrameFlags.Accessed);
        if (old.Has(FrameFlags.PageCache))
        {
            kernel.FileOf(old.Mapping)?.Move(from, target);
        }

        return true;
    }

    private void Remap(AddressSpace process, Hva at, HostPte entry, Pfn now)
    {
        HostPte current = process.Tables.Find(at, out int level);
        if (level != 1 || !current.IsMigration || current.Frame != from)
        {
            return;
        }

        HostPte back = new((entry.Raw & ~(from.Value << PageSize.Shift4K)) | (now.Value << PageSize.Shift4K));
        process.Tables.Replace(at, 1, back);
        kernel.Frames[now].MapCount++;
        kernel.Folios.Get(now);
    }
}
