using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// Puts 512 anonymous pages together into one of 2 MiB (<c>collapse_huge_page</c> of khugepaged): clears the table's entry under the
/// notifiers, waits for walks without locks, makes sure that nobody holds the pages, copies them, and maps the copy.
/// </summary>
/// <remarks>EINVAL: not an anonymous range of that size, or no table there. EAGAIN: a page is held, shared, locked or in swap. ENOMEM.</remarks>
public sealed class CollapseOperation : HostOperation<Errno>
{
    private const int PagesOfLarge = 512;

    private readonly AddressSpace mm;
    private readonly Hva at;

    /// <summary>Prepares it.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">An address in the 2 MiB.</param>
    public CollapseOperation(AddressSpace mm, Hva hva)
    {
        ArgumentNullException.ThrowIfNull(mm);
        (this.mm, at) = (mm, new Hva(hva.Value & ~(PageSize.Size2M - 1)));
    }

    /// <inheritdoc/>
    public override string Name => "khugepaged";

    private HostKernel Kernel => mm.Kernel;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Acquire("collapse: mmap_lock", mm.MmapLock, mm.TableBit, Kernel.PageBits);
        VirtualMemoryArea? area = mm.Find(at);
        Pfn? table = mm.Tables.LastTable(at);
        bool fits = area is { Backing: null } && area.IsAccessible && (area.Flags & VmFlags.Shared) == 0 && at.Value + PageSize.Size2M <= area.End.Value;
        Pfn? huge = fits && table is not null ? Kernel.Allocator.Allocate(HostPageTable.OrderOf(2), FrameFlags.Anon | FrameFlags.AnonExclusive) : null;
        Result = !fits || table is null ? Errno.EINVAL : huge is null ? Errno.ENOMEM : Errno.None;
        if (Result == Errno.None)
        {
            foreach (Step step in Collapse(area!, table!.Value, huge!.Value))
            {
                yield return step;
            }
        }

        yield return Step.Do("collapse: drop mmap_lock", 0, mm.MmapLock.Bit);
        mm.MmapLock.Release();
    }

    private IEnumerable<Step> Collapse(VirtualMemoryArea area, Pfn table, Pfn huge)
    {
        NotifierRange range = new(at, at + PageSize.Size2M, NotifierEvent.Clear);
        foreach (Step step in mm.NotifyStart(range))
        {
            yield return step;
        }

        yield return Step.Do("collapse: clear the table's entry and flush", mm.TableBit, mm.TableBit);
        mm.Tables.Replace(at, 2, default);
        mm.Flushes++;
        foreach (Step step in mm.NotifyEnd(range))
        {
            yield return step;
        }

        if (!Kernel.Injects(InjectedFaults.FreeTableAtOnce))
        {
            yield return Step.Wait("collapse: wait for walks without locks", () => mm.LocklessWalks == 0, mm.TableBit);
        }

        yield return Step.Do("collapse: isolate the pages", 0, Kernel.PageBits);
        Span<ulong> entries = Entries(table);
        List<Pfn> isolated = [];
        bool free = true;
        for (int i = 0; free && i < PagesOfLarge; i++)
        {
            free = TryIsolate(new HostPte(entries[i]), isolated);
        }

        if (!free)
        {
            isolated.ForEach(Kernel.Folios.Unlock);
            mm.Tables.Replace(at, 2, HostPte.Table(table));
            Kernel.Folios.Put(huge);
            Result = Errno.EAGAIN;
            yield break;
        }

        yield return Step.Do("collapse: copy, and map the large page", 0, Kernel.PageBits);
        Finish(area, table, huge);
    }

    // __collapse_huge_page_isolate: no entry, or a page that only this entry refers to.
    private bool TryIsolate(HostPte entry, List<Pfn> isolated)
    {
        if (entry.IsNone)
        {
            return true;
        }

        if (!entry.IsPresent || entry.IsSpecial)
        {
            return false;
        }

        ref PageFrame page = ref Kernel.Frames[entry.Frame];
        bool own = page.Has(FrameFlags.Anon) && (page.Flags & (FrameFlags.Tail | FrameFlags.Head | FrameFlags.HwPoison | FrameFlags.SwapCache)) == 0 && page.MapCount == 1;
        bool held = (page.RefCount != Kernel.Folios.Expected(entry.Frame) || page.PinCount > 0) && !Kernel.Injects(InjectedFaults.CollapseHeld);
        if (!own || held || !Kernel.Folios.TryLock(entry.Frame))
        {
            return false;
        }

        isolated.Add(entry.Frame);
        return true;
    }

    private void Finish(VirtualMemoryArea area, Pfn table, Pfn huge)
    {
        Span<ulong> entries = Entries(table);
        for (int i = 0; i < PagesOfLarge; i++)
        {
            HostPte entry = new(entries[i]);
            if (!entry.IsNone)
            {
                Kernel.Frames.Bytes(entry.Frame).CopyTo(Kernel.Frames.Bytes(new Pfn(huge.Value + (ulong)i)));
                Kernel.Frames[entry.Frame].MapCount--;
                Kernel.Folios.Unlock(entry.Frame);
                Kernel.Folios.Put(entry.Frame);
            }
        }

        entries.Clear();
        mm.Tables.FreeTable(table);
        ref PageFrame folio = ref Kernel.Frames[huge];
        (folio.Mapping, folio.Index, folio.MapCount) = (mm.Id, at.Value >> PageSize.Shift4K, 1);
        mm.Tables.Replace(at, 2, area.EntryFor(huge, (area.Flags & VmFlags.Write) != 0, level: 2));
    }

    private Span<ulong> Entries(Pfn table) => MemoryMarshal.Cast<byte, ulong>(Kernel.Frames.Bytes(table));
}
