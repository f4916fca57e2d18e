namespace Quadwalk.GuestMemory;

/// <summary>
/// KVM_PRE_FAULT_MEMORY (<c>kvm_vcpu_pre_fault_memory</c>): takes read faults for a range, of the kind that the attributes say, as far as it
/// gets. An error is told only if nothing was done.
/// </summary>
/// <remarks>EINVAL: not whole pages, or none. ENOENT: no slot. EFAULT, EIO, EHWPOISON, EINTR: as the fault had it.</remarks>
public sealed class PreFaultOperation : HostOperation<Errno>
{
    private readonly KvmVcpu vcpu;
    private readonly Gpa gpa;
    private readonly ulong size;

    internal PreFaultOperation(KvmVcpu vcpu, Gpa gpa, ulong size) => (this.vcpu, this.gpa, this.size) = (vcpu, gpa, size);

    /// <inheritdoc/>
    public override string Name => "KVM_PRE_FAULT_MEMORY";

    /// <summary>How many bytes have translations now.</summary>
    public ulong Bytes { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        if (size == 0 || ((gpa.Value | size) & PageSize.Mask4K) != 0 || gpa.Value + size < gpa.Value)
        {
            Result = Errno.EINVAL;
            yield break;
        }

        while (Bytes < size && Result == Errno.None && vcpu.Ring is not { IsSoftFull: true })
        {
            Gpa at = gpa + Bytes;
            StageTwoFault fault = new(vcpu.Vm, at, write: false, vcpu.Vm.Attributes.IsPrivate(at.Frame), vcpu);
            yield return Step.Through(fault);
            switch (fault.Result)
            {
                case StageTwoOutcome.Fixed:
                    vcpu.Vm.StageTwo.TryFind(at.Frame, out StageTwoEntry entry, out _);
                    ulong page = PageSize.Size4K << HostPageTable.OrderOf(Math.Max(entry.Level, 1));
                    Bytes = Math.Min(size, Bytes + page - (at.Value & (page - 1)));
                    break;
                case StageTwoOutcome.Retry:
                    if (fault.InvalidSlot is Memslot slot)
                    {
                        yield return Step.Wait("pre-fault: try again when the slot has changed", () => vcpu.Vm.Slots.Find(slot.Id) != slot, vcpu.Vm.SlotBit);
                    }

                    break;
                default:
                    Result = fault.Result == StageTwoOutcome.Emulate ? Errno.ENOENT : fault.Error;
                    break;
            }
        }

        Result = Bytes > 0 ? Errno.None : Result;
    }
}
