namespace Quadwalk.GuestMemory;

/// <summary>
/// A change of the memslots (<c>__kvm_set_memory_region</c>): made under the slots lock, published for readers under SRCU, and for what
/// deletes or moves published twice, so that nobody makes a translation of a slot that is zapped already.
/// </summary>
/// <remarks>
/// A publication waits for invalidations in progress, since their two ends have to see the same slots, and then for all readers that may have
/// seen the slots of before. Until then the generation has <see cref="Memslots.UpdateInProgress"/>.
/// </remarks>
public sealed class MemslotOperation : HostOperation<Errno>
{
    private const ulong MostPages = (1UL << 31) - 1;

    private readonly Kvm vm;
    private readonly Change change;
    private readonly int id;
    private readonly Gpa gpa;
    private readonly ulong size;
    private readonly Hva host;
    private readonly MemslotFlags flags;
    private readonly GuestMemfd? file;
    private readonly ulong offset;

    private MemslotOperation(Kvm vm, Change change, int id, Gpa gpa, ulong size, Hva host, MemslotFlags flags, GuestMemfd? file, ulong offset) =>
        (this.vm, this.change, this.id, this.gpa, this.size, this.host, this.flags, this.file, this.offset) =
        (vm, change, id, gpa, size, host, flags, file, offset);

    private enum Change
    {
        Create,
        Delete,
        Move,
        Flags,
    }

    /// <inheritdoc/>
    public override string Name => "KVM_SET_USER_MEMORY_REGION";

    /// <summary>The slot as it is now; null before the end, after a failure, and after a deletion.</summary>
    public Memslot? Slot { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        yield return Step.Acquire("memslots: slots_lock", vm.SlotsLock, vm.SlotBit, vm.SlotBit);
        Result = Check(out Memslot? old, out Memslot? now);
        if (Result == Errno.None && file is not null)
        {
            yield return Step.Acquire("memslots: kvm_gmem_bind", file.InvalidateLock, 0, file.CacheBit);
            Result = file.Bind(vm, now!, offset >> PageSize.Shift4K);
            if (Result == Errno.None)
            {
                vm.Attach(now!.Id, file, offset >> PageSize.Shift4K);
            }

            file.InvalidateLock.Release();
        }

        if (Result == Errno.None && old != now)
        {
            foreach (Step step in Apply(old, now))
            {
                yield return step;
            }
        }

        yield return Step.Do("memslots: drop slots_lock", 0, vm.SlotsLock.Bit);
        vm.SlotsLock.Release();
    }

    internal static MemslotOperation Create(Kvm vm, Gpa gpa, ulong size, Hva host, MemslotFlags flags, GuestMemfd? file, ulong offset) =>
        new(vm, Change.Create, -1, gpa, size, host, flags, file, offset);

    internal static MemslotOperation Delete(Kvm vm, int id) => new(vm, Change.Delete, id, default, 0, default, default, null, 0);

    internal static MemslotOperation Move(Kvm vm, int id, Gpa gpa) => new(vm, Change.Move, id, gpa, 0, default, default, null, 0);

    internal static MemslotOperation SetFlags(Kvm vm, int id, MemslotFlags flags) => new(vm, Change.Flags, id, default, 0, default, flags, null, 0);

    // The rules, in the kernel's order: old and now are the slot before and after, null where there is none.
    private Errno Check(out Memslot? old, out Memslot? now)
    {
        old = now = null;
        if (change != Change.Create)
        {
            old = vm.Slots.Find(id);
            if (old is null)
            {
                return Errno.EINVAL;
            }
        }

        bool hasFile = file is not null || (old is not null && (old.Flags & MemslotFlags.GuestMemfd) != 0);
        MemslotFlags wanted = change is Change.Create or Change.Flags ? flags : old!.Flags & ~MemslotFlags.GuestMemfd;
        if ((hasFile && wanted != MemslotFlags.None) || (wanted & MemslotFlags.GuestMemfd) != 0 || (offset & PageSize.Mask4K) != 0)
        {
            // Neither read-only nor logged; the flag itself comes with a file and in no other way.
            return Errno.EINVAL;
        }

        try
        {
            switch (change)
            {
                case Change.Create when size >> PageSize.Shift4K > MostPages:
                    return Errno.EINVAL;
                case Change.Create:
                    now = vm.Slots.Prepare(gpa, size, host, wanted | (hasFile ? MemslotFlags.GuestMemfd : MemslotFlags.None));
                    return Errno.None;
                case Change.Delete:
                    return Errno.None;
                case Change.Move when hasFile:
                case Change.Flags when hasFile || ((old!.Flags ^ wanted) & MemslotFlags.ReadOnly) != 0:
                    return Errno.EINVAL;
                case Change.Move:
                    now = vm.Slots.Prepare(gpa, old!.Size, old.Host, old.Flags, old.Id);
                    return Errno.None;
                default:
                    now = vm.Slots.Prepare(old!.Base, old.Size, old.Host, wanted, old.Id);
                    return Errno.None;
            }
        }
        catch (MemslotException refusal)
        {
            return refusal.Error;
        }
    }

    private IEnumerable<Step> Apply(Memslot? old, Memslot? now)
    {
        if (old is not null && change != Change.Flags)
        {
            foreach (Step step in Publish("INVALID", old, old with { Flags = old.Flags | MemslotFlags.Invalid }))
            {
                yield return step;
            }

            yield return Step.Acquire("memslots: mmu_lock, zap the slot", vm.MmuLock, 0, vm.StageBit | vm.VcpuBits);
            if (vm.Zap(old.Base.Frame, old.Pages))
            {
                foreach (Step step in vm.FlushRemoteTlbs("memslots"))
                {
                    yield return step;
                }
            }

            vm.MmuLock.Release();
        }

        foreach (Step step in Publish(now is null ? "without it" : "it", old, now))
        {
            yield return step;
        }

        if (now is not null)
        {
            foreach (Step step in vm.CommitDirtyLog(old is null || change == Change.Move ? null : old, now))
            {
                yield return step;
            }
        }
        else if (vm.TryGuestMemfd(old!, old!.Base.Frame, out GuestMemfd? bound, out _))
        {
            yield return Step.Acquire("memslots: kvm_gmem_unbind", bound.InvalidateLock, 0, bound.CacheBit);
            bound.Unbind(vm, old.Id);
            vm.Detach(old.Id);
            bound.InvalidateLock.Release();
        }

        vm.ForgetDirtyLog(now is { LogsDirty: true } ? -1 : id);
        Slot = now;
    }

    // kvm_swap_active_memslots.
    private IEnumerable<Step> Publish(string what, Memslot? old, Memslot? now)
    {
        yield return Step.Wait(
            $"memslots: wait for the invalidations, publish {what}", () => vm.ActiveInvalidations == 0, vm.StageBit, vm.SlotBit | vm.Srcu.Bit);
        IEnumerable<Memslot> rest = vm.Slots.All.Where(slot => slot.Id != old?.Id);
        vm.Slots.BeginUpdate(now is null ? rest : rest.Append(now));
        if (!vm.Kernel.Injects(InjectedFaults.SkipSynchronizeSrcu))
        {
            int before = vm.Srcu.Flip();
            yield return Step.Wait("memslots: synchronize_srcu", () => vm.Srcu.IsQuiet(before), 0, vm.Srcu.Bit | vm.SlotBit);
        }

        vm.Slots.EndUpdate();
    }
}
