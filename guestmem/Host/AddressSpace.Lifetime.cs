namespace Quadwalk.GuestMemory;

/// <content>Beginning and end: fork and exit.</content>
public sealed partial class AddressSpace
{
    /// <summary>
    /// fork (<c>dup_mmap</c>): the child gets the ranges and shares the pages; private pages become read-only in both until one of them
    /// writes, except that a pinned page is copied for the child at once. Without a frame for a table or a copy there is no child (ENOMEM), and
    /// the result is null.
    /// </summary>
    /// <param name="name">The child.</param>
    public HostOperation<AddressSpace> Fork(string name) => new ForkOperation(this, name);

    /// <summary>exit_mmap: tells the notifiers, unmaps everything and gives the tables back.</summary>
    public HostOperation Exit() => new ExitOperation(this);

    /// <summary>Told when the process ends, before its tables go: whoever has entries at its kernel addresses gives them up.</summary>
    internal event Action? Released;

    private sealed class ForkOperation(AddressSpace parent, string name) : HostOperation<AddressSpace>
    {
        public override string Name => "fork";

        private HostKernel Kernel => parent.Kernel;

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("fork: mmap_lock", parent.MmapLock);
            if (HostPageTable.TryCreate(Kernel) is not HostPageTable tables)
            {
                parent.MmapLock.Release();
                yield break;
            }

            AddressSpace child = new(Kernel, name, tables);
            NotifierRange range = new(default, new Hva(HostPageTable.UserEnd), NotifierEvent.Protection);
            foreach (Step step in parent.NotifyStart(range))
            {
                yield return step;
            }

            bool copied = true;
            foreach (VirtualMemoryArea area in parent.areas)
            {
                if ((area.Flags & VmFlags.DontCopy) != 0)
                {
                    continue;
                }

                yield return Step.Do("fork: copy the entries of a range", parent.TableBit, parent.TableBit | child.TableBit);
                VirtualMemoryArea copy = new(child, area.Start, area.End, area.Flags, area.Backing, area.Offset) { ProtectionKey = area.ProtectionKey };
                child.areas.Add(copy);
                area.Backing?.Opened(copy);
                Hva from = area.Start;
                while (copied && parent.Tables.TryNext(from, area.End, out Hva at, out HostPte entry, out int level))
                {
                    if (entry.IsMigration)
                    {
                        yield return Step.Wait(
                            "fork: wait for the migration", () => !parent.Tables.Find(at, out _).IsMigration, parent.TableBit, parent.TableBit | child.TableBit);
                        from = at;
                        continue;
                    }

                    if (entry.IsLargePage && (ReachesOut(area, at, level) || IsPinned(area, entry)))
                    {
                        // copy_huge_pmd: pages that are pinned are copied one by one. So are those of two ranges, which a change without a
                        // frame for a table leaves behind.
                        copied = parent.TrySplitPage(at);
                        continue;
                    }

                    copied = TryCopyEntry(area, child, at, entry, level);
                    from = new Hva(((at.Value >> HostPageTable.Shift(level)) + 1) << HostPageTable.Shift(level));
                }

                if (!copied)
                {
                    break;
                }
            }

            parent.Flushes++;
            foreach (Step step in parent.NotifyEnd(range))
            {
                yield return step;
            }

            yield return Step.Do("fork: drop mmap_lock", 0, parent.MmapLock.Bit);
            parent.MmapLock.Release();
            if (copied)
            {
                Result = child;
            }
            else
            {
                yield return Step.Through(child.Exit());
            }
        }

        private static bool ReachesOut(VirtualMemoryArea area, Hva at, int level)
        {
            ulong first = at.Value >> HostPageTable.Shift(level) << HostPageTable.Shift(level);
            return first < area.Start.Value || first + (1UL << HostPageTable.Shift(level)) > area.End.Value;
        }

        private bool IsPinned(VirtualMemoryArea area, HostPte entry) =>
            entry.HoldsPage && (area.Flags & VmFlags.Shared) == 0 && Kernel.Frames.FolioOf(entry.Frame).PinCount > 0;

        private bool TryCopyEntry(VirtualMemoryArea area, AddressSpace child, Hva at, HostPte entry, int level)
        {
            bool copyOnWrite = (area.Flags & VmFlags.Shared) == 0;
            if (!entry.HoldsPage)
            {
                return TryCopyNonpresent(child, at, entry, level, copyOnWrite);
            }

            Pfn frame = entry.Frame;
            ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
            if (copyOnWrite && folio.Has(FrameFlags.Anon))
            {
                if (folio.PinCount > 0 && level == 1)
                {
                    return TryCopyPage(child, at, entry);
                }

                folio.Flags &= ~FrameFlags.AnonExclusive;
            }

            if (copyOnWrite && entry.IsWritable)
            {
                entry = entry.WriteProtected;
                parent.Tables.Replace(at, level, entry);
            }

            if (!child.Tables.TrySet(at, level, entry))
            {
                return false;
            }

            folio.MapCount++;
            Kernel.Folios.Get(frame);
            return true;
        }

        // copy_nonpresent_pte: what is in swap is shared from now on.
        private bool TryCopyNonpresent(AddressSpace child, Hva at, HostPte entry, int level, bool copyOnWrite)
        {
            if (copyOnWrite && entry.IsSwap)
            {
                entry = entry.MadeShared;
                parent.Tables.Replace(at, level, entry);
            }

            if (!child.Tables.TrySet(at, level, entry))
            {
                return false;
            }

            if (entry.IsSwap)
            {
                Kernel.Swap.Duplicate(entry.SwapSlot);
            }

            return true;
        }

        // The parent keeps the pinned page as its own, writable as it was.
        private bool TryCopyPage(AddressSpace child, Hva at, HostPte entry)
        {
            if (Kernel.Allocator.Allocate(0, FrameFlags.Anon | FrameFlags.AnonExclusive) is not Pfn copy)
            {
                return false;
            }

            Kernel.Frames.Bytes(entry.Frame).CopyTo(Kernel.Frames.Bytes(copy));
            ref PageFrame page = ref Kernel.Frames[copy];
            (page.Mapping, page.Index) = (child.Id, at.Value >> PageSize.Shift4K);
            if (!child.Tables.TrySet(at, 1, entry.WithFrame(copy)))
            {
                Kernel.Folios.Put(copy);
                return false;
            }

            page.MapCount++;
            return true;
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
            mm.Released?.Invoke();
            mm.Tables.Free();
            mm.Kernel.Remove(mm);
            mm.MmapLock.Release();
        }
    }
}
