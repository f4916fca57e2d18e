namespace Quadwalk.GuestMemory;

/// <content>NUMA hints: entries whose rights are taken away to see who uses the pages (<c>change_prot_numa</c>).</content>
public sealed partial class AddressSpace
{
    private sealed class NumaHintOperation(AddressSpace mm, Hva start, Hva end) : HostOperation
    {
        public override string Name => "change_prot_numa";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.AcquireShared("numa: mmap_lock", mm.MmapLock);
            NotifierRange range = mm.WholePages(start, end, NotifierEvent.Protection);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("numa: change the entries", mm.TableBit, mm.TableBit);
            Hva from = start;
            bool whole = mm.TrySplitAt(start) && mm.TrySplitAt(end);
            while (whole && mm.Tables.TryNext(from, end, out Hva at, out HostPte entry, out int level))
            {
                if (entry.IsPresent && IsHinted(at, entry))
                {
                    mm.Tables.Replace(at, level, entry.WithRights(readable: false));
                }

                from = new Hva(((at.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
            }

            mm.Flushes++;
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do("numa: drop mmap_lock", 0, mm.MmapLock.Bit);
            mm.MmapLock.Release();
        }

        // Bare frame numbers have no home, and what is pinned or shared copy-on-write would not move anyway.
        private bool IsHinted(Hva at, HostPte entry)
        {
            if (entry.IsSpecial || mm.Find(at) is not { IsAccessible: true } area)
            {
                return false;
            }

            ref PageFrame folio = ref mm.Kernel.Frames.FolioOf(entry.Frame);
            return !area.IsCopyOnWrite || (folio.PinCount == 0 && (folio.Order > 0 || folio.MapCount == 1));
        }
    }
}
