namespace Quadwalk.GuestMemory;

/// <content>The common fault as a call: the VMM has the page mapped, nothing is in progress, and no translation has to be flushed.</content>
public sealed partial class StageTwoFault
{
    private protected override bool TryAtOnce()
    {
        if (asPrivate || vm.InvalidationsInProgress > 0 || !vm.MmuLock.IsFree(shared: false) || vm.Attributes.IsPrivate(gfn)
            || !vm.Slots.TryFind(gfn.Address, out Memslot? slot) || slot.IsInvalid || (write && !slot.IsWritable)
            || (vm.TryGuestMemfd(slot, gfn, out GuestMemfd? file, out _) && file.NoDirectMap))
        {
            return false;
        }

        Hva hva = slot.Host + (gfn.Address.Value - slot.Base.Value);
        int level = StageTwoLevel.OfShared(vm, slot, gfn);
        if (vm.StageTwo.TryFind(gfn, out StageTwoEntry old, out Pfn shown)
            && (old.Level != level || old.Private || !vm.Process.Tables.LookupPfn(hva, out Pfn mapped, out _, out _) || mapped != shown))
        {
            return false;
        }

        // A slot that can be written welcomes a writable page, even for a read.
        FollFlags flags = FollFlags.Get | (slot.IsWritable ? FollFlags.Write : FollFlags.None);
        if (!PfnResolver.TryFast(vm.Process, hva, flags, out Pfn frame))
        {
            return false;
        }

        _ = Install(slot, frame, level, slot.IsWritable);
        PfnResolver.Release(vm.Kernel.Folios, frame, pin: false, dirty: slot.IsWritable);
        Result = StageTwoOutcome.Fixed;
        return true;
    }
}
