using System.Buffers.Binary;

namespace Quadwalk.GuestMemory;

/// <summary>
/// KVM_RUN (<c>vcpu_run</c>, <c>vcpu_enter_guest</c>): serves the requests, enters the guest, and lets it make its accesses; what the second
/// stage does not have is an exit, a fault, and another entry.
/// </summary>
/// <remarks>
/// Entry is in two pieces, as in the kernel: what is to be done is done, then the vCPU says that it is in the guest, and only then looks a
/// last time. Whoever changes something either sees it in the guest and kicks it, or is seen by that look.
/// </remarks>
public sealed class VcpuRun : HostOperation<KvmExit>
{
    private readonly KvmVcpu vcpu;
    private readonly GuestAccess[] accesses;
    private readonly List<ulong> values = [];
    private int next;

    internal VcpuRun(KvmVcpu vcpu, GuestAccess[] accesses)
    {
        foreach (GuestAccess access in accesses)
        {
            if (access.Gpa.PageOffset % sizeof(ulong) != 0)
            {
                throw new ArgumentException($"{access} is not at a multiple of eight", nameof(accesses));
            }
        }

        (this.vcpu, this.accesses) = (vcpu, accesses);
    }

    /// <inheritdoc/>
    public override string Name => "KVM_RUN";

    /// <summary>What the guest's reads have given, in order.</summary>
    public IReadOnlyList<ulong> Values => values;

    /// <summary>How many accesses were made.</summary>
    public int Completed => next;

    /// <summary>How often it entered the guest.</summary>
    public int Entries { get; private set; }

    private Kvm Vm => vcpu.Vm;

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        bool done = false;
        while (!done)
        {
            yield return Step.Do("vcpu: serve the requests", vcpu.Bit | Vm.CacheListBit | Vm.SlotBit, vcpu.Bit);
            if (vcpu.Requests.HasFlag(VcpuRequests.DirtyRingSoftFull) && vcpu.Ring is { IsSoftFull: true })
            {
                Result = new KvmExit(KvmExitReason.DirtyRingFull);
                yield break;
            }

            bool reload = vcpu.Requests.HasFlag(VcpuRequests.ApicPageReload);
            if (vcpu.Requests.HasFlag(VcpuRequests.TlbFlush))
            {
                vcpu.FlushTlb();
            }

            vcpu.Done(vcpu.Requests);
            if (reload)
            {
                yield return Step.Through(new ApicPageReload(vcpu));
            }

            foreach (GfnToPfnCache cache in vcpu.GuestCaches.ToArray())
            {
                if (cache.Check(1))
                {
                    continue;
                }

                HostOperation<Errno> refresh = cache.Refresh(1);
                yield return Step.Through(refresh);
                if (refresh.Result != Errno.None)
                {
                    Result = new KvmExit(KvmExitReason.Error, refresh.Result);
                    yield break;
                }
            }

            yield return Step.Do("vcpu: IN_GUEST_MODE, look again", vcpu.Bit | Vm.CacheListBit | Vm.SlotBit | Vm.StageBit, vcpu.Bit);
            bool late = vcpu.Requests != VcpuRequests.None || vcpu.GuestCaches.Any(cache => !cache.Check(1));
            if (late && !Vm.Kernel.Injects(InjectedFaults.EnterWithoutRecheck))
            {
                continue;
            }

            vcpu.Enter();
            Entries++;
            while (vcpu.InGuest)
            {
                string what = next == accesses.Length ? "halt" : accesses[next].ToString();
                yield return Step.Do($"guest: {what}", vcpu.Bit | Vm.StageBit | Vm.SlotBit | Vm.Process.TableBit, vcpu.Bit | Vm.StageBit | Vm.Process.TableBit);
                if (vcpu.IsKicked)
                {
                    vcpu.Leave();
                }
                else if (next == accesses.Length)
                {
                    vcpu.Leave();
                    Result = new KvmExit(KvmExitReason.Halted);
                    done = true;
                }
                else if (TryAccess(accesses[next]))
                {
                    next++;
                }
                else
                {
                    vcpu.Leave();
                    StageTwoFault fault = new(Vm, accesses[next].Gpa, accesses[next].IsWrite, accesses[next].AsPrivate, vcpu);
                    if (!accesses[next].AsPrivate && vcpu.IsRememberedMmio(accesses[next].Gpa.Frame))
                    {
                        Result = Exit(StageTwoOutcome.Emulate, fault);
                        yield break;
                    }

                    yield return Step.Through(fault);
                    if (fault.Result is not (StageTwoOutcome.Fixed or StageTwoOutcome.Retry))
                    {
                        Result = Exit(fault.Result, fault);
                        yield break;
                    }

                    if (fault.InvalidSlot is Memslot slot)
                    {
                        yield return Step.Wait("vcpu: try again when the slot has changed", () => Vm.Slots.Find(slot.Id) != slot, Vm.SlotBit);
                    }
                }
            }
        }
    }

    private bool TryAccess(GuestAccess access)
    {
        Pfn frame;
        if (access.Cache is GfnToPfnCache cache)
        {
            frame = vcpu.LoadedFrame(cache) ?? throw new InvalidOperationException("the vCPU uses no such cache");
        }
        else if (!vcpu.TryTranslate(access.Gpa.Frame, access.IsWrite, access.AsPrivate, out frame))
        {
            return false;
        }

        if (access.Cache is null && Vm.ApicAccessSlotId >= 0 && frame == vcpu.ApicAccessPage)
        {
            vcpu.VirtualizedApicAccesses++;
            if (!access.IsWrite)
            {
                values.Add(0);
            }

            return true;
        }

        if (!Vm.Kernel.Frames.IsValid(frame))
        {
            // Registers of a device that is not modelled, as a bus without anybody behind it.
            if (!access.IsWrite)
            {
                values.Add(ulong.MaxValue);
            }

            return true;
        }

        Span<byte> bytes = Vm.Kernel.Frames.Bytes(frame).Slice(access.Cache?.PageOffset ?? access.Gpa.PageOffset, sizeof(ulong));
        if (access.IsWrite)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, access.Value);
        }
        else
        {
            values.Add(BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        return true;
    }

    private KvmExit Exit(StageTwoOutcome outcome, StageTwoFault fault)
    {
        switch (outcome)
        {
            case StageTwoOutcome.Emulate:
                if (fault.NoSlotGeneration is ulong generation)
                {
                    vcpu.RememberMmio(accesses[next].Gpa.Frame, generation);
                }

                return new KvmExit(KvmExitReason.Mmio, Gpa: accesses[next].Gpa);
            default:
                return new KvmExit(fault.MemoryFault is null ? KvmExitReason.Error : KvmExitReason.MemoryFault, fault.Error, Fault: fault.MemoryFault);
        }
    }
}
