namespace Quadwalk.GuestMemory;

/// <summary>
/// Takes pages of a file out of all processes (<c>unmap_mapping_pages</c>), each under its notifiers. A fault beside it may bring a page back,
/// as in Linux: who drops the page asks again whether somebody maps it. ENOMEM: a large page could not be split at an end of the range.
/// </summary>
internal sealed class UnmapMappingOperation(MemoryFile file, string caller, ulong first, ulong count) : HostOperation<Errno>
{
    public override string Name => "unmap_mapping_pages";

    protected internal override IEnumerable<Step> Steps()
    {
        // Ranges may come and go between two steps.
        List<VirtualMemoryArea> shown = [];
        foreach (VirtualMemoryArea area in file.Areas)
        {
            if (TryFind(area, out _, out _))
            {
                shown.Add(area);
            }
        }

        foreach (VirtualMemoryArea area in shown)
        {
            AddressSpace mm = area.Owner;
            if (!TryFind(area, out Hva start, out Hva end) || !file.Areas.Contains(area))
            {
                // It was unmapped since, or has lost that part, and its process may have no tables any more.
                continue;
            }

            NotifierRange range = mm.WholePages(start, end, NotifierEvent.Clear);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do($"{caller}: zap the entries", mm.TableBit, mm.TableBit);
            Zap(mm, range);
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }
        }
    }

    // The ranges of this moment: the one that was found may have been split, or be gone, since.
    private void Zap(AddressSpace mm, NotifierRange range)
    {
        List<HostPte> zapped = [];
        foreach (VirtualMemoryArea area in file.Areas)
        {
            if (area.Owner != mm || !TryFind(area, out Hva start, out Hva end))
            {
                continue;
            }

            start = new Hva(Math.Max(start.Value, range.Start.Value));
            end = new Hva(Math.Min(end.Value, range.End.Value));
            if (start.Value < end.Value && !mm.TryZap(start, end, zapped))
            {
                Result = Errno.ENOMEM;
            }
        }

        mm.Flushes++;
        mm.Release(zapped);
    }

    private bool TryFind(VirtualMemoryArea area, out Hva start, out Hva end)
    {
        ulong from = Math.Max(first, area.Offset);
        ulong to = Math.Min(first + count, area.Offset + ((area.End.Value - area.Start.Value) >> PageSize.Shift4K));
        bool shown = from < to;
        start = shown ? area.Start + ((from - area.Offset) << PageSize.Shift4K) : default;
        end = shown ? area.Start + ((to - area.Offset) << PageSize.Shift4K) : default;
        return shown;
    }
}
