namespace Quadwalk.GuestMemory;

/// <content>Beginning and end: fork and exit.</content>
public sealed partial class AddressSpace
{
    /// <summary>
    /// fork (<c>dup_mmap</c>): the child gets the ranges and shares the pages; private pages become read-only in both until one of them
    /// writes, except that a pinned page is copied for the child at once.
    /// </summary>
    /// <param name="name">The child.</param>
    public HostOperation<AddressSpace> Fork(string name) => new ForkOperation(this, name);

    /// <summary>exit_mmap: tells the notifiers, unmaps everything and gives the tables back.</summary>
    public HostOperation Exit() => new ExitOperation(this);

    private sealed class ForkOperation(AddressSpace parent, string name) : HostOperation<AddressSpace>
    {
        public override string Name => "fork";

        private HostKernel Kernel => parent.Kernel;

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("fork: mmap_lock", parent.MmapLock);
            AddressSpace child = new(Kernel, name);
            NotifierRange range = new(default, new Hva(HostPageTable.UserEnd), NotifierEvent.Protection);
            foreach (Step step in parent.NotifyStart(range))
            {
                yield return step;
            }

            foreach (VirtualMemoryArea area in parent.areas)
            {
                if ((area.Flags & VmFlags.DontCopy) != 0)
                {
                    continue;
                }

                yield return Step.Do("fork: copy the entries of a range", parent.TableBit, parent.TableBit | child.TableBit);
                VirtualMemoryArea copy = new(child, area.Start, area.End, area.Flags, area.Backing, area.Offset);
                child.areas.Add(copy);
                area.Backing?.Opened(copy);
                CopyEntries(area, child);
            }

            parent.Flushes++;
            foreach (Step step in parent.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do("fork: drop mmap_lock", 0, parent.MmapLock.Bit);
            parent.MmapLock.Release();
            Result = child;
        }

        private void CopyEntries(VirtualMemoryArea area, AddressSpace child)
        {
            Hva from = area.Start;
            while (parent.Tables.TryNext(from, area.End, out Hva at, out HostPte entry, out int level))
            {
                CopyEntry(area, child, at, entry, level);
                from = new Hva(((at.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
            }
        }

        // A child that finds no frame for a table has a hole, and faults there.
        private void CopyEntry(VirtualMemoryArea area, AddressSpace child, Hva at, HostPte entry, int level)
        {
            if (!entry.HoldsPage)
            {
                _ = (entry.IsSpecial || entry.IsPoison) && child.Tables.TrySet(at, level, entry);
                return;
            }

            bool copyOnWrite = (area.Flags & VmFlags.Shared) == 0;
            Pfn frame = entry.Frame;
            ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
            if (copyOnWrite && folio.Has(FrameFlags.Anon))
            {
                if (folio.PinCount > 0 && level == 1 && Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is Pfn copy)
                {
                    Kernel.Frames.Bytes(frame).CopyTo(Kernel.Frames.Bytes(copy));
                    Kernel.Frames[copy].Mapping = child.Id;
                    Kernel.Frames[copy].Index = at.Value >> PageSize.Shift4K;
                    Share(child, at, level, HostPte.Map(copy, entry.IsWritable), copy, takeReference: false);
                    return;
                }

                folio.Flags &= ~FrameFlags.AnonExclusive;
            }

            if (copyOnWrite && entry.IsWritable)
            {
                entry = entry.WriteProtected;
                parent.Tables.Replace(at, level, entry);
            }

            Share(child, at, level, entry, frame, takeReference: true);
        }

        private void Share(AddressSpace child, Hva at, int level, HostPte entry, Pfn frame, bool takeReference)
        {
            if (!child.Tables.TrySet(at, level, entry))
            {
                if (!takeReference)
                {
                    Kernel.Folios.Put(frame);
                }

                return;
            }

            Kernel.Frames.FolioOf(frame).MapCount++;
            if (takeReference)
            {
                Kernel.Folios.Get(frame);
            }
        }
    }

    private sealed class ExitOperation(AddressSpace mm) : HostOperation
    {
        public override string Name => "exit";

        protected internal override IEnumerable<Step> Steps()
        {
            Hva end = new(HostPageTable.UserEnd);
            NotifierRange range = new(default, end, NotifierEvent.Release);
            yield return Step.Acquire("exit: mmap_lock", mm.MmapLock);
            foreach (Step step in mm.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("exit: zap everything", mm.TableBit, mm.TableBit);
            List<HostPte> zapped = [];
            mm.TryZap(default, end, zapped);
            mm.Release(zapped);
            mm.RemoveAreas(default, end);
            foreach (Step step in mm.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do("exit: free the tables", mm.TableBit, mm.TableBit | mm.MmapLock.Bit);
            mm.Tables.Free();
            mm.Kernel.Remove(mm);
            mm.MmapLock.Release();
        }
    }
}
