using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.GuestMemory;

/// <summary>
/// Memory that belongs to guests rather than to a process (<c>virt/kvm/guest_memfd.c</c>): reached by file and offset, private or shared page
/// by page, and converted between the two in place.
/// </summary>
/// <remarks>
/// A private page has no host mapping, no reference beside the file's own, and no pin; a touch by the host is SIGBUS. A shared page can be
/// faulted in by the host and, unless the file has no direct map, be had by GUP.
/// </remarks>
public sealed class GuestMemfd : MemoryFile
{
    private const GuestMemfdFlags Known = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap;

    private readonly HashSet<ulong> converted = [];
    private readonly List<Binding> bindings = [];

    private GuestMemfd(HostKernel kernel, ulong pages, GuestMemfdFlags flags, int order)
        : base(kernel, pages, order)
    {
        Flags = flags;
        if (NoDirectMap)
        {
            kernel.MarkWithoutDirectMap(Id);
        }
    }

    /// <summary>What it was made as.</summary>
    public GuestMemfdFlags Flags { get; }

    /// <inheritdoc/>
    public override string Name => "guest_memfd";

    /// <inheritdoc/>
    public override bool NoDirectMap => (Flags & GuestMemfdFlags.NoDirectMap) != 0;

    /// <summary>KVM_CREATE_GUEST_MEMFD.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="bytes">The size: a multiple of 4096, and not 0.</param>
    /// <param name="flags">What it is to be.</param>
    /// <param name="file">The file.</param>
    /// <param name="order">log2 of the frames of its folios.</param>
    /// <returns>EINVAL for a bad size or an unknown flag.</returns>
    public static Errno Create(HostKernel kernel, ulong bytes, GuestMemfdFlags flags, out GuestMemfd? file, int order = 0)
    {
        bool proposed = (flags & GuestMemfdFlags.NoDirectMap) == 0 || kernel is { Behavior: KernelBehavior.Proposed };
        bool valid = bytes != 0 && (bytes & PageSize.Mask4K) == 0 && (flags & ~Known) == 0 && proposed;
        file = valid ? new GuestMemfd(kernel, bytes >> PageSize.Shift4K, flags, order) : null;
        return valid ? Errno.None : Errno.EINVAL;
    }

    /// <summary>Whether a page is private to the guest.</summary>
    public bool IsPrivate(ulong page) => ((Flags & GuestMemfdFlags.InitShared) == 0) != converted.Contains(page);

    /// <summary>mmap of the file by a process.</summary>
    /// <param name="process">The process.</param>
    /// <param name="start">The first address.</param>
    /// <param name="pages">How many pages.</param>
    /// <param name="flags">Rights, and <see cref="VmFlags.Shared"/>.</param>
    /// <param name="offset">The first page of the file.</param>
    /// <returns>ENODEV without <see cref="GuestMemfdFlags.Mmap"/>; EINVAL for a private mapping; else as <see cref="AddressSpace.Map"/>.</returns>
    public Errno Map(AddressSpace process, Hva start, ulong pages, VmFlags flags, ulong offset = 0)
    {
        ArgumentNullException.ThrowIfNull(process);
        if ((Flags & GuestMemfdFlags.Mmap) == 0)
        {
            return Errno.ENODEV;
        }

        return (flags & VmFlags.Shared) == 0 ? Errno.EINVAL : process.Map(start, pages, flags | VmFlags.DontCopy, this, offset, out _);
    }

    /// <summary>read(2) and write(2): the file has neither.</summary>
    public static Errno ReadOrWrite() => Errno.EINVAL;

    /// <summary>ftruncate(2) to another size.</summary>
    public static Errno ChangeSize() => Errno.EINVAL;

    /// <summary>fallocate(2) with FALLOC_FL_PUNCH_HOLE; see the table of its errors.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="keepSize">FALLOC_FL_KEEP_SIZE is given.</param>
    /// <param name="operation">The operation, if there is anything to do.</param>
    /// <returns>EOPNOTSUPP without <paramref name="keepSize"/>, EINVAL for bytes that are not whole pages; none, and nothing to do, beyond the end.</returns>
    public Errno PunchHole(ulong offset, ulong length, bool keepSize, out HostOperation? operation)
    {
        operation = null;
        if (!keepSize)
        {
            return Errno.EOPNOTSUPP;
        }

        if (((offset | length) & PageSize.Mask4K) != 0 || length == 0)
        {
            return Errno.EINVAL;
        }

        ulong first = offset >> PageSize.Shift4K;
        if (first < Size)
        {
            operation = new RevokeOperation(this, first, Math.Min(length >> PageSize.Shift4K, Size - first));
        }

        return Errno.None;
    }

    /// <summary>Makes pages private or shared, in place.</summary>
    /// <param name="first">The first page.</param>
    /// <param name="count">How many.</param>
    /// <param name="toPrivate">Which of the two.</param>
    public ConvertOperation Convert(ulong first, ulong count, bool toPrivate) => new(this, first, count, toPrivate);

    /// <summary>Shows a part of the file to a virtual machine.</summary>
    /// <returns>EINVAL where the part is bound already or reaches beyond the end.</returns>
    internal Errno Bind(Kvm vm, Memslot slot, ulong firstPage)
    {
        ulong pages = slot.Size >> PageSize.Shift4K;
        if (firstPage + pages > Size || bindings.Exists(other => firstPage < other.FirstPage + other.Pages && other.FirstPage < firstPage + pages))
        {
            return Errno.EINVAL;
        }

        bindings.Add(new Binding(vm, slot.Id, slot.Base.Frame, firstPage, pages));
        return Errno.None;
    }

    internal void Unbind(Kvm vm, int slotId) => bindings.RemoveAll(binding => binding.Vm == vm && binding.SlotId == slotId);

    /// <summary>kvm_gmem_get_pfn: the frame of a page, with a reference for the caller.</summary>
    /// <param name="vm">The virtual machine that asks.</param>
    /// <param name="slotId">Its slot.</param>
    /// <param name="page">The page of the file.</param>
    /// <param name="frame">The frame.</param>
    /// <returns>EIO for a slot that is not bound to the page any more; EHWPOISON; ENOMEM.</returns>
    public Errno GetPfn(Kvm vm, int slotId, ulong page, out Pfn frame)
    {
        frame = default;
        if (!bindings.Exists(binding => binding.Vm == vm && binding.SlotId == slotId && page - binding.FirstPage < binding.Pages))
        {
            return Errno.EIO;
        }

        return base.Get(page, out frame) switch
        {
            VmFault.Page => Errno.None,
            VmFault.HwPoison => Errno.EHWPOISON,
            VmFault.OutOfMemory => Errno.ENOMEM,
            _ => Errno.EIO,
        };
    }

    /// <inheritdoc/>
    public override VmFault Fault(VirtualMemoryArea area, Hva hva, bool write, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(area);
        frame = default;
        ulong page = area.PageOf(hva);
        return page >= Size || IsPrivate(page) ? VmFault.SigBus : Get(page, out frame);
    }

    /// <inheritdoc/>
    protected override void Added(Pfn head)
    {
        ref PageFrame folio = ref Kernel.Frames[head];
        if (IsPrivate(folio.Index))
        {
            folio.Flags |= FrameFlags.Private;
        }

        if (NoDirectMap)
        {
            Kernel.DirectMap.Remove(head, 1UL << Order, flush: !Kernel.Injects(InjectedFaults.SkipFlush));
        }
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
            yield return Step.Acquire("gmem invalidate begin: mmu_lock, zap", vm.MmuLock, 0, vm.StageBit);
            vm.BeginInvalidation(gfn, new Gfn(gfn.Value + frames));
            vm.Zap(gfn, frames);
            vm.BeginActive();
            vm.InvalidateCaches(gfn, frames);
            vm.MmuLock.Release();
        }
    }

    private IEnumerable<Step> InvalidateEnd(ulong first, ulong count)
    {
        foreach ((Kvm vm, _, _) in BoundFrames(first, count).ToArray())
        {
            yield return Step.Acquire("gmem invalidate end: mmu_lock", vm.MmuLock, 0, vm.StageBit);
            vm.EndInvalidation();
            vm.EndActive();
            vm.MmuLock.Release();
        }
    }

    // unmap_mapping_pages: no process shows the pages afterwards.
    private IEnumerable<Step> UnmapFromHosts(ulong first, ulong count)
    {
        foreach (VirtualMemoryArea area in Areas.ToArray())
        {
            ulong from = Math.Max(first, area.Offset);
            ulong to = Math.Min(first + count, area.Offset + ((area.End.Value - area.Start.Value) >> PageSize.Shift4K));
            if (from >= to)
            {
                continue;
            }

            NotifierRange range = new(
                area.Start + ((from - area.Offset) << PageSize.Shift4K), area.Start + ((to - area.Offset) << PageSize.Shift4K), NotifierEvent.Clear);
            foreach (Step step in area.Owner.NotifyStart(range))
            {
                yield return step;
            }

            yield return Step.Do("gmem: unmap from a process", area.Owner.TableBit, area.Owner.TableBit);
            List<HostPte> zapped = [];
            area.Owner.TryZap(range.Start, range.End, zapped);
            area.Owner.Flushes++;
            area.Owner.Release(zapped);
            foreach (Step step in area.Owner.NotifyEnd(range))
            {
                yield return step;
            }
        }
    }

    private void SetPrivate(ulong page, bool isPrivate)
    {
        bool initial = (Flags & GuestMemfdFlags.InitShared) == 0;
        _ = isPrivate == initial ? converted.Remove(page) : converted.Add(page);
        if (Cached(page) is Pfn frame)
        {
            ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
            folio.Flags = isPrivate ? folio.Flags | FrameFlags.Private : folio.Flags & ~FrameFlags.Private;
        }
    }

    private sealed record Binding(Kvm Vm, int SlotId, Gfn FirstGfn, ulong FirstPage, ulong Pages);

    private sealed class RevokeOperation(GuestMemfd file, ulong first, ulong count) : HostOperation<Errno>
    {
        public override string Name => "gmem punch hole";

        protected internal override IEnumerable<Step> Steps()
        {
            foreach (Step step in file.InvalidateBegin(first, count))
            {
                yield return step;
            }

            foreach (Step step in file.UnmapFromHosts(first, count))
            {
                yield return step;
            }

            yield return Step.Do("gmem punch hole: drop the pages", file.CacheBit, file.CacheBit);
            file.Drop(first, count);
            foreach (Step step in file.InvalidateEnd(first, count))
            {
                yield return step;
            }
        }
    }

    /// <summary>A change of pages between private and shared.</summary>
    /// <remarks>
    /// To private: unmapped everywhere, and then each folio must have no reference but the file's and this operation's own. Where one has, the
    /// result is EAGAIN, nothing is converted, and <see cref="BlockedAt"/> tells the page.
    /// </remarks>
    [SuppressMessage("Design", "CA1034", Justification = "It is one of the file's own operations, and reaches into it.")]
    public sealed class ConvertOperation : HostOperation<Errno>
    {
        private readonly GuestMemfd file;
        private readonly ulong first;
        private readonly ulong count;
        private readonly bool toPrivate;

        internal ConvertOperation(GuestMemfd file, ulong first, ulong count, bool toPrivate) =>
            (this.file, this.first, this.count, this.toPrivate) = (file, first, count, toPrivate);

        /// <inheritdoc/>
        public override string Name => toPrivate ? "gmem convert to private" : "gmem convert to shared";

        /// <summary>The first page that somebody holds a reference of, where the result is EAGAIN.</summary>
        public ulong? BlockedAt { get; private set; }

        /// <inheritdoc/>
        protected internal override IEnumerable<Step> Steps()
        {
            if (count == 0 || first + count > file.Size || first + count < first)
            {
                Result = Errno.EINVAL;
                yield break;
            }

            foreach (Step step in file.InvalidateBegin(first, count))
            {
                yield return step;
            }

            if (toPrivate)
            {
                foreach (Step step in file.UnmapFromHosts(first, count))
                {
                    yield return step;
                }
            }

            yield return Step.Do($"{Name}: look at the references", file.CacheBit, ulong.MaxValue);
            BlockedAt = toPrivate ? FirstHeld() : null;
            Result = BlockedAt is null ? Errno.None : Errno.EAGAIN;
            for (ulong page = first; BlockedAt is null && page < first + count; page++)
            {
                file.SetPrivate(page, toPrivate);
            }

            foreach (Step step in file.InvalidateEnd(first, count))
            {
                yield return step;
            }
        }

        private ulong? FirstHeld()
        {
            for (ulong page = first; page < first + count; page++)
            {
                if (file.Cached(page) is Pfn frame && file.Kernel.Frames.FolioOf(frame) is var folio && (folio.RefCount != 1 << file.Order || folio.MapCount != 0))
                {
                    return page;
                }
            }

            return null;
        }
    }
}
