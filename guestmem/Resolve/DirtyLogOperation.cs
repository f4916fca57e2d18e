using System.Numerics;

namespace Quadwalk.GuestMemory;

/// <summary>
/// KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG (<c>kvm_get_dirty_log_protect</c>, <c>kvm_clear_dirty_log_protect</c>): bits are taken and their
/// pages protected under the mmu lock, and the vCPUs flushed before the VMM has the bits; so what the guest writes later is in the next log.
/// </summary>
/// <remarks>ENOENT: there is no such slot, or it has no log. EINVAL: what is to be cleared is not whole words within the slot.</remarks>
public sealed class DirtyLogOperation : HostOperation<Errno>
{
    private readonly Kvm vm;
    private readonly int slotId;
    private readonly bool clear;
    private readonly ulong firstPage;
    private readonly ulong pages;
    private readonly IReadOnlyList<ulong> bits;

    private DirtyLogOperation(Kvm vm, int slotId, bool clear, ulong firstPage, ulong pages, IReadOnlyList<ulong> bits) =>
        (this.vm, this.slotId, this.clear, this.firstPage, this.pages, this.bits) = (vm, slotId, clear, firstPage, pages, bits);

    /// <inheritdoc/>
    public override string Name => clear ? "KVM_CLEAR_DIRTY_LOG" : "KVM_GET_DIRTY_LOG";

    /// <summary>Of a get: a bit for each page of the slot, once the operation has come to its end.</summary>
    public IReadOnlyList<ulong> Bitmap { get; private set; } = [];

    /// <summary>The pages of <see cref="Bitmap"/>, in ascending order.</summary>
    public IEnumerable<ulong> Pages
    {
        get
        {
            for (int word = 0; word < Bitmap.Count; word++)
            {
                for (ulong rest = Bitmap[word]; rest != 0; rest &= rest - 1)
                {
                    yield return ((ulong)word * 64) + (ulong)BitOperations.TrailingZeroCount(rest);
                }
            }
        }
    }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        string who = clear ? "clear dirty log" : "get dirty log";
        yield return Step.Acquire($"{who}: slots_lock", vm.SlotsLock, vm.SlotBit | vm.DirtyBit);
        Memslot? slot = vm.Slots.Find(slotId);
        Result = slot is not { LogsDirty: true } ? Errno.ENOENT : clear && !IsInside(slot) ? Errno.EINVAL : Errno.None;
        if (Result == Errno.None)
        {
            DirtyBitmap bitmap = vm.BitmapOf(slot!);
            ulong[] taken = bitmap.Copy();
            bool protect = clear || !vm.DirtyLogModes.HasFlag(DirtyLogModes.ManualProtect);
            if (protect)
            {
                yield return Step.Acquire($"{who}: mmu_lock, take the bits and write-protect", vm.MmuLock, 0, vm.StageBit | vm.DirtyBit);
                taken = Take(slot!, bitmap);
                vm.MmuLock.Release();
                yield return Step.Do($"{who}: flush", 0, vm.VcpuBits);
                if (taken.AsSpan().ContainsAnyExcept(0UL))
                {
                    foreach (Step step in vm.FlushRemoteTlbs(who))
                    {
                        yield return step;
                    }
                }
            }

            Bitmap = clear ? [] : taken;
        }

        yield return Step.Do($"{who}: drop slots_lock", 0, vm.SlotsLock.Bit);
        vm.SlotsLock.Release();
    }

    internal static DirtyLogOperation Get(Kvm vm, int slotId) => new(vm, slotId, clear: false, 0, 0, []);

    internal static DirtyLogOperation Clear(Kvm vm, int slotId, ulong firstPage, ulong pages, IReadOnlyList<ulong> bits) =>
        new(vm, slotId, clear: true, firstPage, pages, bits);

    private bool IsInside(Memslot slot) =>
        firstPage % 64 == 0 && firstPage <= slot.Pages && pages <= slot.Pages - firstPage
        && (pages % 64 == 0 || firstPage + pages == slot.Pages) && (ulong)bits.Count >= (pages + 63) / 64;

    private ulong[] Take(Memslot slot, DirtyBitmap bitmap)
    {
        ulong words = ((clear ? pages : slot.Pages) + 63) / 64;
        ulong[] taken = new ulong[words];
        for (ulong i = 0; i < words; i++)
        {
            ulong first = firstPage + (i * 64);
            taken[i] = bitmap.Clear((int)(first / 64), clear ? bits[(int)i] : ulong.MaxValue);
            for (ulong rest = taken[i]; rest != 0; rest &= rest - 1)
            {
                vm.ProtectForLog(new Gfn(slot.Base.Frame.Value + first + (ulong)BitOperations.TrailingZeroCount(rest)), 1);
            }
        }

        return taken;
    }
}
