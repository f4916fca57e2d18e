using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.GuestMemory;

/// <content>Memslots, their guest_memfds, and attributes.</content>
public sealed partial class Kvm
{
    private readonly Dictionary<int, GmemBinding> files = [];
    private readonly List<(Gfn First, ulong Count)> changingAttributes = [];

    /// <summary>The number of the private slot of the APIC access page; -1: there is none.</summary>
    public int ApicAccessSlotId { get; private set; } = -1;

    /// <summary>The guest frame of the APIC access page: 0xfee00.</summary>
    public static Gfn ApicAccessFrame => new(0xfee00);

    /// <summary>KVM_SET_USER_MEMORY_REGION2: a new slot.</summary>
    /// <param name="gpa">The first guest-physical address; a multiple of 4096.</param>
    /// <param name="size">The size in bytes; a multiple of 4096, and not 0.</param>
    /// <param name="host">Where the VMM maps it, or its shared frames; a multiple of 4096, and not 0.</param>
    /// <param name="flags">Read-only or with a dirty log; with a guest_memfd neither.</param>
    /// <param name="file">A guest_memfd for its private frames, or null.</param>
    /// <param name="offset">The byte of the file that the slot begins with; a multiple of 4096.</param>
    public MemslotOperation CreateSlot(Gpa gpa, ulong size, Hva host, MemslotFlags flags = MemslotFlags.None, GuestMemfd? file = null, ulong offset = 0) =>
        MemslotOperation.Create(this, gpa, size, host, flags, file, offset);

    /// <summary>KVM_SET_USER_MEMORY_REGION with a size of 0: deletes a slot.</summary>
    /// <param name="id">Its number.</param>
    public MemslotOperation DeleteSlot(int id) => MemslotOperation.Delete(this, id);

    /// <summary>KVM_SET_USER_MEMORY_REGION with another guest-physical address: moves a slot.</summary>
    /// <param name="id">Its number.</param>
    /// <param name="gpa">Where it goes.</param>
    public MemslotOperation MoveSlot(int id, Gpa gpa) => MemslotOperation.Move(this, id, gpa);

    /// <summary>KVM_SET_USER_MEMORY_REGION with other flags: turns the dirty log on or off. What is read-only stays so (EINVAL).</summary>
    /// <param name="id">The slot's number.</param>
    /// <param name="flags">The flags.</param>
    public MemslotOperation SetSlotFlags(int id, MemslotFlags flags) => MemslotOperation.SetFlags(this, id, flags);

    /// <summary>Makes the page whose frame tells the processor where to virtualize the APIC's registers (kvm_alloc_apic_access_page).</summary>
    /// <param name="host">Where the VMM maps it.</param>
    /// <exception cref="MemslotException">The slot cannot be made.</exception>
    public Memslot AddApicAccessPage(Hva host)
    {
        Memslot slot = Made(CreateSlot(ApicAccessFrame.Address, PageSize.Size4K, host));
        ApicAccessSlotId = slot.Id;
        MakeAllCpusRequest(VcpuRequests.ApicPageReload);
        return slot;
    }

    /// <summary>KVM_SET_USER_MEMORY_REGION2 with KVM_MEM_GUEST_MEMFD, run at once.</summary>
    /// <param name="gpa">The first guest-physical address.</param>
    /// <param name="size">The size in bytes.</param>
    /// <param name="host">Where the VMM maps the shared frames; a multiple of 4096, not 0.</param>
    /// <param name="file">The guest_memfd.</param>
    /// <param name="firstPage">The page of the file that the slot begins with.</param>
    /// <param name="flags">What the slot allows: neither read-only nor with a dirty log.</param>
    /// <returns>The slot.</returns>
    /// <exception cref="MemslotException">EEXIST: guest-physical overlap. EINVAL: anything else.</exception>
    public Memslot AddGuestMemfdSlot(Gpa gpa, ulong size, Hva host, GuestMemfd file, ulong firstPage, MemslotFlags flags = MemslotFlags.None)
    {
        ArgumentNullException.ThrowIfNull(file);
        return Made(CreateSlot(gpa, size, host, flags, file, firstPage << PageSize.Shift4K));
    }

    /// <summary>Deletes a slot at once: the guest loses its frames.</summary>
    /// <param name="id">The slot's number.</param>
    /// <exception cref="MemslotException">There is no such slot.</exception>
    public void RemoveSlot(int id)
    {
        if (DeleteSlot(id).Run() is Errno error and not Errno.None)
        {
            throw new MemslotException(error, $"memslot {id} cannot be deleted: {error}");
        }
    }

    /// <summary>The guest_memfd of a slot and the page that a guest frame has there; false if the slot has none, or has lost it.</summary>
    public bool TryGuestMemfd(Memslot slot, Gfn gfn, [NotNullWhen(true)] out GuestMemfd? file, out ulong page)
    {
        ArgumentNullException.ThrowIfNull(slot);
        bool found = files.TryGetValue(slot.Id, out GmemBinding? binding);
        file = found ? binding!.File : null;
        page = found ? binding!.FirstPage + (gfn.Value - slot.Base.Frame.Value) : 0;
        return found;
    }

    /// <summary>KVM_SET_MEMORY_ATTRIBUTES: makes guest frames private or shared; what the guest has of them goes.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many; with 0, or beyond 2^52 frames, the result is EINVAL.</param>
    /// <param name="isPrivate">Which of the two.</param>
    public HostOperation<Errno> SetAttributes(Gfn first, ulong count, bool isPrivate) => new AttributesOperation(this, first, count, isPrivate);

    internal void Attach(int slotId, GuestMemfd file, ulong firstPage) => files[slotId] = new GmemBinding(file, firstPage);

    internal void Detach(int slotId) => files.Remove(slotId);

    /// <summary>Whether a change of attributes is under way that may make the frames of a large page differ.</summary>
    internal bool AttributesChange(Gfn first, ulong count) =>
        changingAttributes.Exists(range => range.First.Value < first.Value + count && first.Value < range.First.Value + range.Count);

    private static Memslot Made(MemslotOperation operation)
    {
        Errno error = operation.Run();
        return error == Errno.None ? operation.Slot! : throw new MemslotException(error, $"no memslot: {error}");
    }

    private sealed record GmemBinding(GuestMemfd File, ulong FirstPage);

    private sealed class AttributesOperation(Kvm vm, Gfn first, ulong count, bool isPrivate) : HostOperation<Errno>
    {
        private const ulong MostFrames = 1UL << 52;

        public override string Name => "set attributes";

        protected internal override IEnumerable<Step> Steps()
        {
            if (count == 0 || first.Value > MostFrames || count > MostFrames - first.Value)
            {
                Result = Errno.EINVAL;
                yield break;
            }

            yield return Step.Acquire("attributes: slots_lock", vm.SlotsLock, 0, vm.StageBit);

            // hugepage_set_mixed, before anything is zapped: done afterwards, a fault in between makes a large page of frames that differ.
            bool early = !vm.Kernel.Injects(InjectedFaults.LargePagesBesideConversion);
            if (early)
            {
                vm.changingAttributes.Add((first, count));
            }

            foreach (Step step in vm.BeginInvalidation("attributes", cache => cache.Shows(first, count), () => [(first, count)]))
            {
                yield return step;
            }

            yield return Step.Do("attributes: store", 0, vm.SlotBit | vm.StageBit);
            vm.Attributes.Set(first, count, isPrivate);
            foreach (Step step in vm.EndInvalidation("attributes"))
            {
                yield return step;
            }

            yield return Step.Do("attributes: drop slots_lock", 0, vm.SlotsLock.Bit | vm.StageBit);
            if (early)
            {
                vm.changingAttributes.Remove((first, count));
            }

            vm.SlotsLock.Release();
        }
    }
}
