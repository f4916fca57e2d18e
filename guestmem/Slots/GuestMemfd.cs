namespace Quadwalk.GuestMemory;

/// <summary>
/// Memory that belongs to guests rather than to a process (<c>virt/kvm/guest_memfd.c</c>): reached by file and offset, private or shared page
/// by page, and converted between the two in place.
/// </summary>
/// <remarks>
/// A private page has no host mapping, no reference beside the file's own, and no pin; a touch by the host is SIGBUS. A shared page can be
/// faulted in by the host and, unless the file has no direct map, be had by GUP.
/// </remarks>
public sealed partial class GuestMemfd : MemoryFile
{
    private const GuestMemfdFlags Known = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap;

    private readonly HashSet<ulong> converted = [];
    private readonly HashSet<ulong> prepared = [];

    private GuestMemfd(HostKernel kernel, ulong pages, GuestMemfdFlags flags, int order)
        : base(kernel, pages, order)
    {
        Flags = flags;
        InvalidateLock = new HostLock("invalidate_lock", kernel.Scope);
        if (NoDirectMap)
        {
            kernel.MarkWithoutDirectMap(Id);
        }
    }

    /// <summary>What it was made as.</summary>
    public GuestMemfdFlags Flags { get; }

    /// <summary>filemap_invalidate_lock: over bindings, conversions and holes; host faults read it.</summary>
    public HostLock InvalidateLock { get; }

    /// <inheritdoc/>
    public override string Name => "guest_memfd";

    /// <inheritdoc/>
    public override HostLock FaultLock => InvalidateLock;

    /// <inheritdoc/>
    public override bool NoDirectMap => (Flags & GuestMemfdFlags.NoDirectMap) != 0;

    /// <inheritdoc/>
    internal override Errno MigrationRefusal => Errno.EBUSY;

    /// <inheritdoc/>
    internal override bool CanReclaim => false;

    /// <inheritdoc/>
    internal override MemoryFailureOutcome LostOutcome => MemoryFailureOutcome.Delayed;

    /// <summary>kvm_gmem_error_folio: the guests lose the page, and who asks for it is told; the file keeps it.</summary>
    internal override IEnumerable<Step> RemoveLost(Pfn frame)
    {
        Pfn head = Kernel.Frames.HeadOf(frame);
        ulong page = Kernel.Frames[head].Index + (frame.Value - head.Value);
        return InvalidateBegin(page, 1).Concat(InvalidateEnd(page, 1));
    }

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

    /// <inheritdoc/>
    public override HostOperation Punch(ulong first, ulong count) => new RevokeOperation(this, first, count);

    /// <summary>ftruncate(2): the size of a guest_memfd is that of its making, so the result is EINVAL and nothing is done.</summary>
    /// <param name="size">The new size in pages.</param>
    public override HostOperation Truncate(ulong size) => new RefusedTruncation();

    /// <summary>fallocate(2) without FALLOC_FL_PUNCH_HOLE (<c>kvm_gmem_allocate</c>): makes the pages of a range.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="keepSize">FALLOC_FL_KEEP_SIZE is given.</param>
    /// <returns>EOPNOTSUPP without <paramref name="keepSize"/>; EINVAL for bytes that are not whole pages, none, or beyond the end; ENOMEM.</returns>
    public Errno Allocate(ulong offset, ulong length, bool keepSize)
    {
        if (!keepSize)
        {
            return Errno.EOPNOTSUPP;
        }

        ulong pages = length >> PageSize.Shift4K;
        if (((offset | length) & PageSize.Mask4K) != 0 || pages == 0 || offset >> PageSize.Shift4K > Size || pages > Size - (offset >> PageSize.Shift4K))
        {
            return Errno.EINVAL;
        }

        for (ulong page = offset >> PageSize.Shift4K; pages > 0; page++, pages--)
        {
            VmFault fault = Get(page, out Pfn frame);
            if (fault != VmFault.Page)
            {
                return fault == VmFault.HwPoison ? Errno.EHWPOISON : Errno.ENOMEM;
            }

            Kernel.Folios.Put(frame);
        }

        return Errno.None;
    }

    /// <summary>kvm_gmem_get_pfn: the frame of a page, with a reference for the caller.</summary>
    /// <param name="vm">The virtual machine that asks.</param>
    /// <param name="slotId">Its slot.</param>
    /// <param name="page">The page of the file.</param>
    /// <param name="frame">The frame.</param>
    /// <returns>EIO for a slot that is not bound to the page any more; EHWPOISON; ENOMEM.</returns>
    public Errno GetPfn(Kvm vm, int slotId, ulong page, out Pfn frame) => GetPfn(vm, slotId, page, out frame, out _);

    /// <summary>kvm_gmem_get_pfn: the frame of a page, with a reference for the caller, and how large its folio is.</summary>
    /// <param name="vm">The virtual machine that asks.</param>
    /// <param name="slotId">Its slot.</param>
    /// <param name="page">The page of the file.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="order">log2 of the frames of the folio.</param>
    /// <returns>EIO for a slot that is not bound to the page any more; EHWPOISON; ENOMEM.</returns>
    public Errno GetPfn(Kvm vm, int slotId, ulong page, out Pfn frame, out int order)
    {
        (frame, order) = (default, 0);
        if (!IsBound(vm, slotId, page))
        {
            return Errno.EIO;
        }

        switch (base.Get(page, out frame))
        {
            case VmFault.Page:
                order = Kernel.Frames.FolioOf(frame).Order;
                prepared.Add(page);
                return Errno.None;
            case VmFault.HwPoison:
                return Errno.EHWPOISON;
            case VmFault.OutOfMemory:
                return Errno.ENOMEM;
            default:
                return Errno.EIO;
        }
    }

    // A loop, since a delegate would be an allocation for each access of the hypervisor's.
    private bool IsBound(Kvm vm, int slotId, ulong page)
    {
        foreach (Binding binding in bindings)
        {
            if (binding.Vm == vm && binding.SlotId == slotId && page - binding.FirstPage < binding.Pages)
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public override VmFault Fault(VirtualMemoryArea area, Hva hva, bool write, out Pfn frame)
    {
        ArgumentNullException.ThrowIfNull(area);
        frame = default;
        ulong page = area.PageOf(hva);
        return page >= Size || IsPrivate(page) ? VmFault.SigBus : Get(page, out frame);
    }

    /// <summary>kvm_gmem_is_prepared: a guest may have seen the page already.</summary>
    internal bool IsPrepared(ulong page) => prepared.Contains(page);

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
            Kernel.DirectMap.Remove(head, 1UL << folio.Order, flush: !Kernel.Injects(InjectedFaults.SkipFlush));
        }
    }

    /// <inheritdoc/>
    protected override void Removing(Pfn head)
    {
        ref PageFrame folio = ref Kernel.Frames[head];
        for (ulong i = 0; i < 1UL << folio.Order; i++)
        {
            prepared.Remove(folio.Index + i);
        }
    }

    private sealed class RefusedTruncation : HostOperation<Errno>
    {
        public override string Name => "ftruncate";

        protected internal override IEnumerable<Step> Steps()
        {
            Result = ChangeSize();
            return [];
        }
    }
}
