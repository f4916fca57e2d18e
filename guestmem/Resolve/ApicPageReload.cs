namespace Quadwalk.GuestMemory;

/// <summary>
/// Serves KVM_REQ_APIC_PAGE_RELOAD (<c>vmx_set_apic_access_page_addr</c>): looks the frame of the APIC access page up and writes it to the
/// VMCS, and keeps no reference; where an invalidation came in between, it asks for another reload.
/// </summary>
internal sealed class ApicPageReload(KvmVcpu vcpu) : HostOperation<Errno>
{
    public override string Name => "reload the APIC page";

    protected internal override IEnumerable<Step> Steps()
    {
        Kvm vm = vcpu.Vm;
        yield return Step.Do("apic reload: read the sequence and the slot", vm.StageBit | vm.SlotBit | vm.Srcu.Bit, vcpu.Bit);
        int reading = vm.Srcu.ReadLock();
        bool again = false;
        ulong sequence = vm.InvalidateSequence;
        vcpu.ApicAccessPage = null;
        if (vm.Slots.Find(vm.ApicAccessSlotId) is Memslot { IsInvalid: false } slot)
        {
            PfnResolver resolver = new(vm.Process, slot.Host, new FollowPfn(FollFlags.Write));
            yield return Step.Through(resolver);
            Result = resolver.Result.IsError ? Errno.EFAULT : Errno.None;
            if (Result == Errno.None)
            {
                yield return Step.AcquireShared("apic reload: mmu_lock, compare the sequence", vm.MmuLock, vm.StageBit, vcpu.Bit | vm.Process.TableBit);
                again = vm.MustRetry(sequence, Kvm.ApicAccessFrame);
                vcpu.ApicAccessPage = again ? null : resolver.Result.Frame;

                resolver.Release(dirty: false);
                vm.MmuLock.Release();
            }
        }

        yield return Step.Do("apic reload: srcu_read_unlock", vm.Srcu.Bit);
        vm.Srcu.ReadUnlock(reading);
        if (again)
        {
            yield return Step.Wait("apic reload: ask again after the invalidation", () => vm.InvalidationsInProgress == 0, vm.StageBit, vcpu.Bit);
            vcpu.Make(VcpuRequests.ApicPageReload);
        }
    }
}
