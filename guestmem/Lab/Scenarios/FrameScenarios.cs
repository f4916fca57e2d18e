namespace Quadwalk.GuestMemory;

/// <summary>Rows 1 to 3: frames whose references nobody counts, or somebody else does.</summary>
internal static class FrameScenarios
{
    private const VmFlags PfnMap = VmFlags.Read | VmFlags.Write | VmFlags.PfnMap;
    private static readonly KernelBehavior[] OldAndNew = [KernelBehavior.V6_12, KernelBehavior.V6_13];

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("pfnmap-without-references", 1, "A frame with a struct page and no references is refused by 6.12 and mapped by 6.13.", WithoutReferences)
        {
            Behaviors = OldAndNew,
        },
        new("pfnmap-reserved-and-registers", 1, "Reserved frames, and registers that have no struct page, are mapped by both kernels and counted by neither.", ReservedAndRegisters)
        {
            Behaviors = OldAndNew,
        },
        new("noncompound-tails", 2, "A buffer of four frames that are no compound page: 6.12 can show a guest the first alone, 6.13 all.", NonCompoundTails)
        {
            Behaviors = OldAndNew,
        },
        new("foreign-reference-frees", 3, "Counting 0, 1, 0 on a driver's frame frees it, and the guest reads what its next owner writes; 6.13 does not count.", ForeignReference)
        {
            Behaviors = OldAndNew,
        },
        new("foreign-reference-race", 3, "Asking first whether there are references does not help 6.12 while the driver's own use is in progress.", ForeignReferenceRace)
        {
            Behaviors = OldAndNew,
        },
    ];

    private static void WithoutReferences(LabBench bench)
    {
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), PfnMap);
        Kvm guest = bench.AddGuest(1);

        StageTwoOutcome fault = bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));

        bench.Expect("the guest's fault", fault, v6_12: StageTwoOutcome.Fault, later: StageTwoOutcome.Fixed);
        bench.Expect("the frame that the guest has", FrameOf(guest, 0), v6_12: null, later: frame);
        bench.Expect("references of the frame", bench.Kernel.Frames[frame].RefCount, 0);
    }

    private static void ReservedAndRegisters(LabBench bench)
    {
        Pfn reserved = new(3);
        Pfn registers = new(bench.Kernel.Frames.Count + 7);
        bench.Map(2, new DriverMemory(bench.Kernel, reserved, registers), PfnMap);
        Kvm guest = bench.AddGuest(2);
        int before = bench.Kernel.Frames[reserved].RefCount;
        long counted = bench.Kernel.Folios.Gets + bench.Kernel.Folios.Puts;

        bench.Note("a frame that firmware keeps");
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        bench.Note("registers of a device, beyond all memory");
        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(1), write: true));

        bench.Expect("the frame behind guest page 0", FrameOf(guest, 0), reserved);
        bench.Expect("the frame behind guest page 1", FrameOf(guest, 1), registers);
        bench.Expect("references of the reserved frame", bench.Kernel.Frames[reserved].RefCount, before);
        bench.Expect("references taken and dropped", bench.Kernel.Folios.Gets + bench.Kernel.Folios.Puts - counted, 0);
    }

    private static void NonCompoundTails(LabBench bench)
    {
        Pfn head = DriverMemory.Allocate(bench.Kernel, order: 2, refcountOfFirst: 1);
        Pfn tail = new(head.Value + 3);
        bench.Map(4, new DriverMemory(bench.Kernel, [.. Enumerable.Range(0, 4).Select(i => new Pfn(head.Value + (ulong)i))]), PfnMap);
        Kvm guest = bench.AddGuest(4);
        ulong free = bench.Kernel.Allocator.FreeFrames;
        bench.Expect("references of first and last", (bench.Kernel.Frames[head].RefCount, bench.Kernel.Frames[tail].RefCount), (1, 0));

        StageTwoOutcome last = bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(3), write: true));
        bench.Expect("the fault on the last frame", last, v6_12: StageTwoOutcome.Fault, later: StageTwoOutcome.Fixed);
        bench.Expect("references taken for it", bench.Kernel.Folios.Gets, 0);
        StageTwoOutcome first = bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        bench.Expect("the fault on the first frame", first, StageTwoOutcome.Fixed);
        bench.Expect("references taken for it", bench.Kernel.Folios.Gets, v6_12: 1, later: 0);

        bench.Run("vmm", bench.Vmm.Unmap(LabBench.Page(0), 4));
        bench.Expect("the frame that the guest has then", FrameOf(guest, 3), null);
        bench.Expect("references of first and last", (bench.Kernel.Frames[head].RefCount, bench.Kernel.Frames[tail].RefCount), (1, 0));
        bench.Expect("references dropped", bench.Kernel.Folios.Puts, bench.Kernel.Folios.Gets);
        bench.Expect("the buffer is still the driver's", bench.Kernel.Frames[tail].Has(FrameFlags.Driver) && bench.Kernel.Allocator.FreeFrames <= free);
    }

    private static void ForeignReference(LabBench bench)
    {
        bench.Boot(faults: InjectedFaults.TakeForeignReference);
        Pfn frame = DriverMemory.Allocate(bench.Kernel);
        bench.Map(1, new DriverMemory(bench.Kernel, frame), PfnMap);
        Kvm guest = bench.AddGuest(1);

        bench.Run("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true));
        if (bench.Behavior == KernelBehavior.V6_12)
        {
            bench.ExpectComplaint(KernelEventKind.FreedForeignFrame);
        }

        bench.Expect("the frame is the driver's", bench.Kernel.Frames[frame].Has(FrameFlags.Driver), v6_12: false, later: true);
        bench.Note("another process takes a page and writes 0x5a to it");
        Pfn next = bench.Kernel.Allocator.Allocate() ?? throw new HostOutOfFramesException("another process");
        bench.Kernel.Frames.Bytes(next).Fill(0x5a);
        byte[] seen = new byte[1];
        bench.Expect("the other process has the driver's frame", next == frame, v6_12: true, later: false);
        bench.Expect("the guest can read", guest.TryGuestRead(LabBench.GuestPage(0), seen));
        bench.Expect("it reads 0x5a", seen[0] == 0x5a, v6_12: true, later: false);
    }

    private static void ForeignReferenceRace(LabBench bench)
    {
        if (bench.Behavior == KernelBehavior.V6_12)
        {
            bench.ExpectSomeOrderBreaks("a fault of the guest beside the driver's own use of the frame", nameof(KernelEventKind.FreedForeignFrame), Make);
        }
        else
        {
            bench.ExpectNoOrderBreaks("a fault of the guest beside the driver's own use of the frame", Make);
        }

        Scenario Make()
        {
            HostKernel kernel = bench.MakeKernel();
            AddressSpace vmm = new(kernel);
            Pfn frame = DriverMemory.Allocate(kernel);
            vmm.MapAt(LabBench.Base, 1, PfnMap, new DriverMemory(kernel, frame));
            Kvm guest = new(vmm);
            guest.Slots.Add(new Gpa(0), PageSize.Size4K, new Hva(LabBench.Base));
            return new Scenario { World = kernel, AtEnd = () => kernel.Frames[frame].RefCount == 0 ? null : "the driver's count is not as it was" }
                .With("vcpu0", new StageTwoFault(guest, LabBench.GuestPage(0), write: true))
                .With("driver", new DriverUse(vmm, frame));
        }
    }

    private static Pfn? FrameOf(Kvm guest, int page) => guest.StageTwo.TryFind(LabBench.GuestPage(page).Frame, out _, out Pfn frame) ? frame : null;

    // A driver whose frames rest at 0 references and have 1 while it works with them. It counts for itself: nothing is freed at 0.
    private sealed class DriverUse(AddressSpace vmm, Pfn frame) : HostOperation
    {
        public override string Name => "driver's use";

        protected internal override IEnumerable<Step> Steps()
        {
            yield return Step.Do("driver: page_ref_inc", vmm.TableBit, vmm.TableBit);
            vmm.Kernel.Frames[frame].RefCount++;
            yield return Step.Do("driver: page_ref_dec", vmm.TableBit, vmm.TableBit);
            vmm.Kernel.Frames[frame].RefCount--;
        }
    }
}
