using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The scenarios that need the emulator beside the modelled host, in the order of the rows of the host-memory table.</summary>
public static class EmulationLab
{
    private const ulong NotPresentRead = 0;
    private const ulong NotPresentFetch = 0x10;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("mmio-walk-through-private-tables", 37, "A page table in private memory, which copy_from_user cannot reach, is a #PF for the guest that uses a device.", PrivateTables),
        new("mmio-walk-without-direct-map", 37, "Without a direct map of guest memory the hypervisor's walk ends at the root, unless it is restored for each access.", NoDirectMap)
        {
            Behaviors = [KernelBehavior.Proposed],
        },
        new("mmio-fetch-from-private-code", 38, "Code in private memory cannot be fetched: #UD, and at CPL 0 an internal error for the VMM.", PrivateCode),
        new("mmio-decode-assist", 38, "An instruction whose bytes the processor supplies needs no fetch.", SuppliedBytes),
    ];

    private static void PrivateTables(LabBench bench)
    {
        using LabGuest guest = new(bench, vm => new UserspacePath(vm), GuestMemfdFlags.None, decodeAssist: false, page => page == LabGuest.DeviceTablePage);
        bench.Step("cpu0", "mov eax, [device], mapped by a table in private memory");
        StopReport stop = guest.Run();
        bench.Expect("the guest's handler", guest.Handled, ExceptionVector.PageFault);
        bench.Expect("its error code", guest.ErrorCode, NotPresentRead);
        bench.Expect("CR2", new Gva(guest.Cpu.State.Cr2), new Gva(LabGuest.Operand));
        bench.Expect("the machine ran on", stop.Reason, StopReason.Halted);
        bench.Expect("reads of the device", guest.DeviceReads, 0ul);

        using LabGuest other = new(bench, vm => new DirectMapPath(vm, DirectMapMode.Refuse), GuestMemfdFlags.None, decodeAssist: false, page => page == LabGuest.DeviceTablePage);
        bench.Step("cpu0", "the same, with the hypervisor on the direct map");
        other.Run();
        bench.Expect("the guest's handler", other.Handled, null);
        bench.Expect("reads of the device", other.DeviceReads, 1ul);
    }

    private static void NoDirectMap(LabBench bench)
    {
        using LabGuest guest = new(bench, vm => new DirectMapPath(vm, DirectMapMode.Refuse), GuestMemfdFlags.NoDirectMap, decodeAssist: false, _ => true);
        bench.Begin();
        bench.Step("cpu0", "mov eax, [device], with no page of the guest in the direct map");
        guest.Run();
        bench.Expect("the guest's handler", guest.Handled, ExceptionVector.PageFault);
        bench.Expect("its error code (I/D set: the walk for the instruction fails at the root)", guest.ErrorCode, NotPresentFetch);
        bench.Expect("reads of the device", guest.DeviceReads, 0ul);

        DirectMapPath? path = null;
        using LabGuest other = new(bench, vm => path = new DirectMapPath(vm, DirectMapMode.Restore), GuestMemfdFlags.NoDirectMap, decodeAssist: false, _ => true);
        bench.Step("cpu0", "the same, with pages restored for each access");
        other.Run();
        bench.Expect("the guest's handler", other.Handled, null);
        bench.Expect("reads of the device", other.DeviceReads, 1ul);
        bench.Expect("restores: four entries for the code, the code, four entries for the operand", path!.Ledger.Restores, 9);
        bench.Expect("frames exposed afterwards", bench.Kernel.DirectMap.ExposedFrames, 0);
    }

    private static void PrivateCode(LabBench bench)
    {
        using LabGuest guest = new(bench, vm => new UserspacePath(vm), GuestMemfdFlags.None, decodeAssist: false, page => page == LabGuest.CodePage);
        bench.Step("cpu0", "mov eax, [device], in private memory");
        StopReport stop = guest.Run();
        bench.Expect("the VMM sees", stop.Reason, StopReason.EmulationFailed);
        bench.Expect("#UD waits for the guest", guest.Cpu.HasQueuedFault);
        bench.Step("vmm", "KVM_RUN once more");
        guest.Run();
        bench.Expect("the guest's handler", guest.Handled, ExceptionVector.InvalidOpcode);
        bench.Expect("reads of the device", guest.DeviceReads, 0ul);
    }

    private static void SuppliedBytes(LabBench bench)
    {
        UserspacePath? path = null;
        using LabGuest guest = new(bench, vm => path = new UserspacePath(vm), GuestMemfdFlags.None, decodeAssist: true, page => page == LabGuest.CodePage);
        bench.Step("cpu0", "mov eax, [device], in private memory, with decode assist");
        guest.Run();
        bench.Expect("the guest's handler", guest.Handled, null);
        bench.Expect("reads of the device", guest.DeviceReads, 1ul);
        bench.Expect("accesses of the path: four entries for the operand, and the operand", path!.Ledger.Accesses, 5);
        bench.Expect("failed: the operand, which is a device", path.Ledger.Failures, 1);
    }
}
