namespace Quadwalk.GuestMemory;

/// <summary>
/// A guest page that KVM uses for long and without a notifier, as it does with what a nested hypervisor names in its VMCS
/// (<c>kvm_vcpu_map</c>): pinned for as long as it is mapped.
/// </summary>
/// <remarks>
/// The result is EINVAL where nothing can be pinned: no slot, nothing mapped, memory without a direct map, and frames of VM_PFNMAP unless
/// <see cref="Kvm.AllowUnsafeMappings"/>. Linux 6.12 takes a plain reference instead of a pin.
/// </remarks>
public sealed class MapForever : HostOperation<Errno>
{
    private readonly Kvm vm;
    private readonly Gfn gfn;
    private readonly bool writable;
    private PfnResolver? held;

    /// <summary>Prepares a mapping.</summary>
    /// <param name="vm">The virtual machine.</param>
    /// <param name="gfn">The guest frame.</param>
    /// <param name="writable">Whether KVM is going to write it.</param>
    public MapForever(Kvm vm, Gfn gfn, bool writable = true)
    {
        ArgumentNullException.ThrowIfNull(vm);
        (this.vm, this.gfn, this.writable) = (vm, gfn, writable);
    }

    /// <inheritdoc/>
    public override string Name => "kvm_vcpu_map";

    /// <summary>The frame while it is mapped; null otherwise.</summary>
    public Pfn? Frame { get; private set; }

    /// <summary>Whether the kernel's address is a mapping of its own rather than the direct map.</summary>
    public bool IsVmap { get; private set; }

    /// <summary>kvm_vcpu_unmap: marks the page as written if it was mapped for that, and gives the pin back.</summary>
    public HostOperation Unmap() => new UnmapOperation(this);

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Do("vcpu map: find the slot", vm.SlotBit | vm.Srcu.Bit);
        int reading = vm.Srcu.ReadLock();
        Result = Errno.EINVAL;
        if (vm.Slots.TryFind(gfn.Address, out Memslot? slot) && !slot.IsInvalid && (slot.IsWritable || !writable))
        {
            bool pin = vm.Kernel.Behavior != KernelBehavior.V6_12;
            FollowPfn request = new(writable ? FollFlags.Write : FollFlags.None, Pin: pin, AllowUnsafe: vm.AllowUnsafeMappings);
            PfnResolver resolver = new(vm.Process, slot.Host + (gfn.Address.Value - slot.Base.Value), request);
            yield return Step.Through(resolver);
            if (!resolver.Result.IsError)
            {
                Result = Errno.None;
                held = resolver;
                Frame = resolver.Result.Frame;
                IsVmap = !vm.Kernel.Frames.IsValid(Frame.Value);
                vm.LiveVmaps += IsVmap ? 1 : 0;
            }
        }

        yield return Step.Do("vcpu map: srcu_read_unlock", vm.Srcu.Bit);
        vm.Srcu.ReadUnlock(reading);
    }

    private sealed class UnmapOperation(MapForever map) : HostOperation
    {
        public override string Name => "kvm_vcpu_unmap";

        protected internal override IEnumerable<Step> Steps()
        {
            Kvm vm = map.vm;
            yield return Step.Do("vcpu unmap: mark dirty, unpin", vm.SlotBit, vm.DirtyBit | vm.Process.TableBit);
            if (map.Frame is null)
            {
                yield break;
            }

            if (map.writable && vm.Slots.TryFind(map.gfn.Address, out Memslot? slot))
            {
                vm.MarkDirty(slot, map.gfn, null);
            }

            vm.LiveVmaps -= map.IsVmap ? 1 : 0;
            map.held?.Release(dirty: map.writable);
            (map.Frame, map.held, map.IsVmap) = (null, null, false);
        }
    }
}
