using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.GuestMemory;

/// <content>Pages made private or shared in place, and what a guest begins with.</content>
public sealed partial class GuestMemfd
{
    /// <summary>Makes pages private or shared, in place.</summary>
    /// <param name="first">The first page.</param>
    /// <param name="count">How many.</param>
    /// <param name="toPrivate">Which of the two.</param>
    public ConvertOperation Convert(ulong first, ulong count, bool toPrivate) => new(this, first, count, toPrivate);

    /// <summary>
    /// kvm_gmem_populate: puts what a guest begins with into private pages, before the guest has seen them.
    /// </summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="first">The first guest frame.</param>
    /// <param name="content">Whole pages.</param>
    /// <returns>
    /// EINVAL for what is not whole pages, not private, or without a guest_memfd; EEXIST for a page that the guest may have seen; else as
    /// <see cref="GetPfn(Kvm, int, ulong, out Pfn)"/>.
    /// </returns>
    public static HostOperation<Errno> Populate(Kvm vm, Gfn first, ReadOnlyMemory<byte> content) => new PopulateOperation(vm, first, content);

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

    /// <summary>A change of pages between private and shared.</summary>
    /// <remarks>
    /// Unmapped everywhere, each folio must have no reference but the file's own. Where one has, the result is EAGAIN, nothing is converted, and
    /// <see cref="BlockedAt"/> tells the page. A large folio of which a part is converted is split, and joined again when all of it is private;
    /// as long as it is private as a whole, it stays as it is.
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
            if (count == 0 || first > file.Size || count > file.Size - first)
            {
                Result = Errno.EINVAL;
                yield break;
            }

            (ulong from, ulong pages) = file.WholeFolios(first, count);
            yield return Step.Acquire($"{Name}: invalidate_lock", file.InvalidateLock);
            foreach (Step step in file.InvalidateBegin(from, pages))
            {
                yield return step;
            }

            if (toPrivate)
            {
                yield return Step.Through(new UnmapMappingOperation(file, Name, from, pages));
            }

            yield return Step.Do($"{Name}: look at the references", file.CacheBit, ulong.MaxValue);
            BlockedAt = (file.Kernel.Injects(InjectedFaults.ConvertHeld) ? null : FirstHeld()) ?? FirstUnsplit();
            Result = BlockedAt is null ? Errno.None : Errno.EAGAIN;
            for (ulong page = first; BlockedAt is null && page < first + count; page++)
            {
                file.SetPrivate(page, toPrivate);
            }

            for (ulong page = from; toPrivate && page < from + pages; page += 1UL << file.Order)
            {
                file.MergeFolio(page);
            }

            foreach (Step step in file.InvalidateEnd(from, pages))
            {
                yield return step;
            }

            yield return Step.Do($"{Name}: drop invalidate_lock", 0, file.InvalidateLock.Bit);
            file.InvalidateLock.Release();
        }

        private ulong? FirstHeld()
        {
            for (ulong page = first; toPrivate && page < first + count; page++)
            {
                if (file.Cached(page) is Pfn frame && file.Kernel.Frames.FolioOf(frame) is var folio && (folio.RefCount != 1 << folio.Order || folio.MapCount != 0))
                {
                    return page;
                }
            }

            return null;
        }

        // Folios of which the range covers a part: those at its two ends.
        private ulong? FirstUnsplit()
        {
            foreach (ulong edge in (ulong[])[first, first + count - 1])
            {
                ulong folio = edge >> file.Order << file.Order;
                bool whole = first <= folio && folio + (1UL << file.Order) <= first + count;
                if (!whole && file.IsPrivate(edge) != toPrivate && !file.TrySplitFolio(edge))
                {
                    return edge;
                }
            }

            return null;
        }
    }

    private sealed class PopulateOperation(Kvm vm, Gfn first, ReadOnlyMemory<byte> content) : HostOperation<Errno>
    {
        public override string Name => "gmem populate";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("gmem populate: slots_lock", vm.SlotsLock, vm.SlotBit);
            Memslot? slot = null;
            GuestMemfd? file = null;
            ulong page = 0;
            bool whole = !content.IsEmpty && (content.Length & (int)PageSize.Mask4K) == 0;
            bool found = whole && vm.Slots.TryFind(first.Address, out slot) && vm.TryGuestMemfd(slot, first, out file, out page);
            ulong pages = (ulong)content.Length >> PageSize.Shift4K;
            Result = found && pages <= slot!.Base.Frame.Value + slot.Pages - first.Value ? Errno.None : Errno.EINVAL;
            for (ulong i = 0; i < pages && Result == Errno.None; i++)
            {
                yield return Step.Acquire("gmem populate: invalidate_lock, put a page in", file!.InvalidateLock, vm.SlotBit, file.CacheBit);
                Result = Put(slot!, file, page + i, (int)i);
                file.InvalidateLock.Release();
            }

            yield return Step.Do("gmem populate: drop slots_lock", 0, vm.SlotsLock.Bit);
            vm.SlotsLock.Release();
        }

        private Errno Put(Memslot slot, GuestMemfd file, ulong page, int index)
        {
            if (!vm.Attributes.IsPrivate(new Gfn(first.Value + (ulong)index)))
            {
                return Errno.EINVAL;
            }

            if (file.IsPrepared(page))
            {
                return Errno.EEXIST;
            }

            Errno error = file.GetPfn(vm, slot.Id, page, out Pfn frame);
            if (error == Errno.None)
            {
                vm.Kernel.DirectMap.BeginUse(frame);
                content.Span.Slice(index << PageSize.Shift4K, (int)PageSize.Size4K).CopyTo(vm.Kernel.Frames.Bytes(frame));
                vm.Kernel.DirectMap.EndUse(frame);
                vm.Kernel.Folios.Put(frame);
            }

            return error;
        }
    }
}
