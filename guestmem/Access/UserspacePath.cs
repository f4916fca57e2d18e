namespace Quadwalk.GuestMemory;

/// <summary>
/// Reaches a modelled guest by the VMM's own addresses, as <c>copy_from_user</c> and <c>copy_to_user</c> on the memslot's address do: the
/// processor walks the VMM's page tables, and a fault makes the page. It needs no direct map, no reference and no flush.
/// </summary>
/// <remarks>
/// What the VMM may not touch is <see cref="Errno.EFAULT"/>, a lost page too, since the copy cannot tell why it stopped. The kernel does not
/// ask here whether the VMM has declared a guest frame private; this path does and refuses it, since the address of a slot that keeps its
/// private frames elsewhere shows other bytes than the guest sees.
/// </remarks>
/// <param name="vm">The guest.</param>
public sealed class UserspacePath(Kvm vm) : GuestAccessPath(vm)
{
    private const int MostFaults = 8;

    /// <inheritdoc/>
    public override string Name => "userspace";

    internal override bool GoesByFrame => false;

    internal override ulong ShowBits => Vm.Process.TableBit;

    internal override HostUse Use => HostUse.UserMapping;

    internal override Errno OpenPage(ref GuestHold hold, bool write)
    {
        if (IsPrivateElsewhere(hold))
        {
            return Errno.EFAULT;
        }

        Hva hva = GuestFrames.HvaOf(hold);
        for (int faults = 0; ; faults++)
        {
            if (TryWalk(hva, write, ref hold))
            {
                return GuestFrames.IsReadable(Kernel, hold.Frame) ? Errno.None : Errno.EFAULT;
            }

            if (GuestFrames.MustWait(Vm.Process, hva) || faults == MostFaults)
            {
                return Errno.EAGAIN;
            }

            costs.Faults++;
            VmFault fault = Vm.Process.Fault(hva, write).Run();
            if (fault is not (VmFault.NoPage or VmFault.Retry))
            {
                return ErrorOf(fault);
            }
        }
    }

    internal override void ClosePage(ref GuestHold hold, bool write) => GuestFrames.Written(Vm, hold, write);

    internal override IEnumerable<Step> OpenSteps(GuestAccessOperation access)
    {
        if (IsPrivateElsewhere(access.Hold))
        {
            access.Error = Errno.EFAULT;
            yield break;
        }

        Hva hva = GuestFrames.HvaOf(access.Hold);
        ulong bit = Vm.Process.TableBit;
        while (true)
        {
            yield return Step.Do("userspace: walk and copy", bit, access.Write ? bit : 0);
            if (TryWalk(hva, access.Write, ref access.Hold))
            {
                access.Error = GuestFrames.IsReadable(Kernel, access.Hold.Frame) ? Errno.None : Errno.EFAULT;
                yield break;
            }

            costs.Faults++;
            FaultOperation fault = Vm.Process.Fault(hva, access.Write);
            yield return Step.Through(fault);
            if (fault.Result is not (VmFault.NoPage or VmFault.Retry))
            {
                access.Error = ErrorOf(fault.Result);
                yield break;
            }
        }
    }

    internal override IEnumerable<Step> CloseSteps(GuestAccessOperation access)
    {
        ClosePage(ref access.Hold, access.Wrote);
        return [];
    }

    private bool IsPrivateElsewhere(in GuestHold hold) => Vm.Attributes.PrivateFrames != 0 && Vm.Attributes.IsPrivate(hold.Gfn);

    private static Errno ErrorOf(VmFault fault) => fault == VmFault.OutOfMemory ? Errno.ENOMEM : Errno.EFAULT;

    private bool TryWalk(Hva hva, bool write, ref GuestHold hold)
    {
        costs.Walks++;
        HostPageTable tables = Vm.Process.Tables;
        HostPte entry = tables.Find(hva, out int level);
        if (!entry.IsPresent || (write && !entry.IsWritable))
        {
            return false;
        }

        // The processor sets A and D as for any access.
        HostPte used = entry.Used(write);
        if (used != entry)
        {
            tables.Replace(hva, level, used);
        }

        hold.Frame = HostPageTable.FrameOf(entry, hva, level);
        return true;
    }
}
