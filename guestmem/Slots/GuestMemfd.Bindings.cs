namespace Quadwalk.GuestMemory;

/// <content>Which virtual machines show which part, and what takes pages from all who see them.</content>
public sealed partial class GuestMemfd
{
    private readonly List<Binding> bindings = [];

    /// <summary>
    /// The last reference of the file goes (<c>kvm_gmem_release</c>): slots that are bound to it lose it, and guests their frames. EBUSY while
    /// a process maps it, which is a reference too.
    /// </summary>
    public HostOperation<Errno> Release() => new ReleaseOperation(this);

    /// <summary>Shows a part of the file to a virtual machine.</summary>
    /// <returns>EINVAL where the part is bound already or reaches beyond the end.</returns>
    internal Errno Bind(Kvm vm, Memslot slot, ulong firstPage)
    {
        ulong pages = slot.Pages;
        if (firstPage > Size || pages > Size - firstPage
            || bindings.Exists(other => firstPage < other.FirstPage + other.Pages && other.FirstPage < firstPage + pages))
        {
            return Errno.EINVAL;
        }

        bindings.Add(new Binding(vm, slot.Id, slot.Base.Frame, firstPage, pages));
        return Errno.None;
    }

    internal void Unbind(Kvm vm, int slotId) => bindings.RemoveAll(binding => binding.Vm == vm && binding.SlotId == slotId);

    // Whole folios: a fault beside may hold the order of a folio that is about to be split.
    private (ulong First, ulong Count) WholeFolios(ulong first, ulong count)
    {
        ulong from = first >> Order << Order;
        ulong to = Math.Min(Size, (first + count + (1UL << Order) - 1) >> Order << Order);
        return (from, to - from);
    }

    private IEnumerable<(Kvm Vm, Gfn First, ulong Count)> BoundFrames(ulong first, ulong count)
    {
        foreach (Binding binding in bindings)
        {
            ulong from = Math.Max(first, binding.FirstPage);
            ulong to = Math.Min(first + count, binding.FirstPage + binding.Pages);
            if (from < to)
            {
                yield return (binding.Vm, new Gfn(binding.FirstGfn.Value + (from - binding.FirstPage)), to - from);
            }
        }
    }

    // kvm_gmem_invalidate_begin: no guest translation of the pages from here to the end of the operation.
    private IEnumerable<Step> InvalidateBegin(ulong first, ulong count)
    {
        foreach ((Kvm vm, Gfn gfn, ulong frames) in BoundFrames(first, count).ToArray())
        {
            foreach (Step step in vm.BeginInvalidation("gmem", cache => cache.Shows(gfn, frames), () => [(gfn, frames)]))
            {
                yield return step;
            }
        }
    }

    private IEnumerable<Step> InvalidateEnd(ulong first, ulong count)
    {
        foreach ((Kvm vm, _, _) in BoundFrames(first, count).ToArray())
        {
            foreach (Step step in vm.EndInvalidation("gmem"))
            {
                yield return step;
            }
        }
    }

    private sealed record Binding(Kvm Vm, int SlotId, Gfn FirstGfn, ulong FirstPage, ulong Pages);

    private sealed class RevokeOperation(GuestMemfd file, ulong first, ulong count) : HostOperation<Errno>
    {
        public override string Name => "gmem punch hole";

        protected internal override IEnumerable<Step> Steps()
        {
            (ulong from, ulong pages) = file.WholeFolios(first, count);
            yield return Step.Acquire("gmem punch hole: invalidate_lock", file.InvalidateLock);
            foreach (Step step in file.InvalidateBegin(from, pages))
            {
                yield return step;
            }

            yield return Step.Through(new UnmapMappingOperation(file, Name, first, count));
            yield return Step.Do("gmem punch hole: drop the pages", file.CacheBit, file.CacheBit);
            file.TrySplitFolio(first);
            file.TrySplitFolio(first + count - 1);
            file.Drop(first, count);
            ClearRest();
            foreach (Step step in file.InvalidateEnd(from, pages))
            {
                yield return step;
            }

            yield return Step.Do("gmem punch hole: drop invalidate_lock", 0, file.InvalidateLock.Bit);
            file.InvalidateLock.Release();
        }

        // truncate_inode_partial_folio: pages of a folio that could not be split are cleared where they are.
        private void ClearRest()
        {
            for (ulong page = first; page < first + count; page++)
            {
                if (file.Cached(page) is Pfn frame)
                {
                    file.Kernel.DirectMap.BeginUse(frame);
                    file.Kernel.Frames.Bytes(frame).Clear();
                    file.Kernel.DirectMap.EndUse(frame);
                }
            }
        }
    }

    private sealed class ReleaseOperation(GuestMemfd file) : HostOperation<Errno>
    {
        public override string Name => "gmem release";

        protected internal override IEnumerable<Step> Steps()
        {
            if (file.Areas.Count > 0)
            {
                Result = Errno.EBUSY;
                yield break;
            }

            Kvm[] machines = [.. file.bindings.Select(binding => binding.Vm).Distinct()];
            foreach (Kvm vm in machines)
            {
                yield return Step.Acquire("gmem release: slots_lock", vm.SlotsLock);
            }

            yield return Step.Acquire("gmem release: invalidate_lock, take the file from the slots", file.InvalidateLock, 0, machines.Aggregate(0UL, (bits, vm) => bits | vm.SlotBit));
            foreach (Binding binding in file.bindings)
            {
                binding.Vm.Detach(binding.SlotId);
            }

            foreach (Step step in file.InvalidateBegin(0, file.Size))
            {
                yield return step;
            }

            foreach (Step step in file.InvalidateEnd(0, file.Size))
            {
                yield return step;
            }

            yield return Step.Do("gmem release: drop the pages and the locks", 0, ulong.MaxValue);
            file.bindings.Clear();
            file.Drop(0, ((file.Size + (1UL << file.Order) - 1) >> file.Order) << file.Order);
            file.InvalidateLock.Release();
            foreach (Kvm vm in machines)
            {
                vm.SlotsLock.Release();
            }
        }
    }
}
