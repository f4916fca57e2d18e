using System.Numerics;

namespace Quadwalk.GuestMemory;

/// <content>The log of what the guest writes.</content>
public sealed partial class Kvm
{
    private readonly Dictionary<int, DirtyBitmap> bitmaps = [];
    private readonly int dirtyRingEntries;

    /// <summary>How a log by bitmap goes.</summary>
    public DirtyLogModes DirtyLogModes { get; init; }

    /// <summary>eager_page_split: large translations are split when the log begins, and not one by one as they are written.</summary>
    public bool EagerPageSplit { get; init; } = true;

    /// <summary>
    /// KVM_CAP_DIRTY_LOG_RING: the entries of the ring that each vCPU gets; 0: writes are logged in bitmaps. A write by KVM itself goes to the
    /// bitmap all the same (KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is neither 0 nor a power of two of at least <see cref="DirtyRing.LeastEntries"/>.</exception>
    public int DirtyRingEntries
    {
        get => dirtyRingEntries;
        init
        {
            bool valid = value == 0 || (value >= DirtyRing.LeastEntries && BitOperations.IsPow2(value));
            dirtyRingEntries = valid ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "a dirty ring has a power of two of entries");
        }
    }

    /// <summary>KVM_GET_DIRTY_LOG: which pages of a slot were written.</summary>
    /// <param name="slotId">The slot.</param>
    public DirtyLogOperation GetDirtyLog(int slotId) => DirtyLogOperation.Get(this, slotId);

    /// <summary>KVM_CLEAR_DIRTY_LOG: forgets that pages of a slot were written, and logs their next write.</summary>
    /// <param name="slotId">The slot.</param>
    /// <param name="firstPage">The page of the first bit: a multiple of 64.</param>
    /// <param name="pages">How many bits: a multiple of 64, or up to the slot's end.</param>
    /// <param name="bits">The pages.</param>
    public DirtyLogOperation ClearDirtyLog(int slotId, ulong firstPage, ulong pages, IReadOnlyList<ulong> bits) =>
        DirtyLogOperation.Clear(this, slotId, firstPage, pages, bits);

    /// <summary>KVM_RESET_DIRTY_RINGS: takes what was harvested out of all rings, and logs the next write of those pages. The result is their number.</summary>
    public HostOperation<int> ResetDirtyRings() => new ResetRingsOperation(this);

    /// <summary>mark_page_dirty_in_slot. The piece that calls it says that it changes <see cref="DirtyBit"/>, and the vCPU.</summary>
    internal void MarkDirty(Memslot slot, Gfn gfn, KvmVcpu? vcpu)
    {
        if (!slot.LogsDirty)
        {
            return;
        }

        ulong page = gfn.Value - slot.Base.Frame.Value;
        if (vcpu?.Ring is not DirtyRing ring)
        {
            BitmapOf(slot).Set(page);
            return;
        }

        ring.Push(new DirtyPage(slot.Id, page));
        if (ring.IsSoftFull)
        {
            vcpu.Make(VcpuRequests.DirtyRingSoftFull);
        }
    }

    internal DirtyBitmap BitmapOf(Memslot slot)
    {
        if (!bitmaps.TryGetValue(slot.Id, out DirtyBitmap? bitmap))
        {
            bitmap = new DirtyBitmap(slot.Pages, DirtyLogModes.HasFlag(DirtyLogModes.InitiallySet));
            bitmaps.Add(slot.Id, bitmap);
        }

        return bitmap;
    }

    internal void ForgetDirtyLog(int slotId) => bitmaps.Remove(slotId);

    /// <summary>kvm_arch_mmu_enable_log_dirty_pt_masked: 4 KiB translations without the right to write, under the mmu lock.</summary>
    /// <returns>Whether a flush is due.</returns>
    internal bool ProtectForLog(Gfn first, ulong count)
    {
        if (EagerPageSplit)
        {
            StageTwo.Split(first, count);
        }

        return StageTwo.WriteProtect(first, count);
    }

    /// <summary>kvm_mmu_slot_apply_flags: what the translations of a slot need when its log begins or ends.</summary>
    internal IEnumerable<Step> CommitDirtyLog(Memslot? old, Memslot now)
    {
        bool was = old is { LogsDirty: true };
        bool begins = now.LogsDirty && !was && !DirtyLogModes.HasFlag(DirtyLogModes.InitiallySet);
        bool ends = was && !now.LogsDirty;
        if (old is null || !(begins || ends))
        {
            yield break;
        }

        yield return Step.Acquire($"dirty log: mmu_lock, {(begins ? "write-protect" : "recover large pages")}", MmuLock, SlotBit, StageBit | VcpuBits);
        bool flush = begins ? ProtectForLog(now.Base.Frame, now.Pages) : RecoverLargePages(now);
        if (flush)
        {
            foreach (Step step in FlushRemoteTlbs("dirty log"))
            {
                yield return step;
            }
        }

        MmuLock.Release();
    }

    // Small translations that might be a large one go; the next fault makes it.
    private bool RecoverLargePages(Memslot slot)
    {
        bool any = false;
        foreach ((Gfn first, StageTwoEntry entry) in StageTwo.Touching(slot.Base.Frame, slot.Pages))
        {
            any |= entry.Level < StageTwoLevel.OfShared(this, slot, first) && Zap(first, 1);
        }

        return any;
    }

    private sealed class ResetRingsOperation(Kvm vm) : HostOperation<int>
    {
        public override string Name => "KVM_RESET_DIRTY_RINGS";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("reset rings: slots_lock", vm.SlotsLock);
            foreach (KvmVcpu vcpu in vm.vcpus)
            {
                if (vcpu.Ring is not DirtyRing ring)
                {
                    continue;
                }

                yield return Step.Acquire("reset rings: mmu_lock, write-protect", vm.MmuLock, vm.SlotBit, vm.StageBit | vcpu.Bit);
                foreach (DirtyPage page in ring.TakeHarvested())
                {
                    Result++;
                    if (vm.Slots.Find(page.SlotId) is Memslot slot && page.Page < slot.Pages)
                    {
                        vm.ProtectForLog(new Gfn(slot.Base.Frame.Value + page.Page), 1);
                    }
                }

                vm.MmuLock.Release();
            }

            if (Result > 0)
            {
                yield return Step.Do("reset rings: flush", 0, vm.VcpuBits);
                foreach (Step step in vm.FlushRemoteTlbs("reset rings"))
                {
                    yield return step;
                }
            }

            yield return Step.Do("reset rings: drop slots_lock", 0, vm.SlotsLock.Bit);
            vm.SlotsLock.Release();
        }
    }
}
