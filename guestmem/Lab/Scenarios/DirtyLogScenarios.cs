using System.Buffers.Binary;

namespace Quadwalk.GuestMemory;

/// <summary>Row 12 too: the log of what the guest writes, by which its memory is copied while it runs.</summary>
internal static class DirtyLogScenarios
{
    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("dirty-log-misses-nothing", 12, "A guest writes while a round of migration reads its dirty log: with the next round the copy is its memory.", MissesNothing),
        new("dirty-log-without-flush", 12, "A bitmap that is given out before the vCPUs have flushed misses a write.", WithoutFlush),
        new("dirty-ring-read-too-early", 12, "By ring, pages are read after the reset: one that reads them before misses a write.", RingReadTooEarly),
        new("large-pages-split-for-the-log", 12, "While writes are logged translations are small; afterwards they are large again.", LargePagesSplit),
    ];

    private static void MissesNothing(LabBench bench) =>
        bench.ExpectNoOrderBreaks("two writes beside a round by bitmap", () => ByBitmap(bench, InjectedFaults.None));

    private static void WithoutFlush(LabBench bench) =>
        bench.ExpectSomeOrderBreaks("the same, without a flush", "the copy has", () => ByBitmap(bench, InjectedFaults.SkipStageTwoFlush));

    private static void RingReadTooEarly(LabBench bench)
    {
        bench.ExpectNoOrderBreaks("two writes beside a round by ring", () => ByRing(bench, readEarly: false));
        bench.ExpectSomeOrderBreaks("the same, with pages read before the reset", "the copy has", () => ByRing(bench, readEarly: true));
    }

    private static void LargePagesSplit(LabBench bench)
    {
        bench.Map(512, flags: VmFlags.Read | VmFlags.Write | VmFlags.HugePage);
        Kvm guest = bench.AddGuest(512);
        int slot = guest.Slots.All[0].Id;
        KvmVcpu vcpu = guest.AddVcpu();
        GuestAccess write = GuestAccess.Write(LabBench.GuestPage(7), 1);
        bench.Run("vcpu0", vcpu.Run(write));
        bench.Expect("translations", guest.StageTwo.Count, 1);

        bench.Expect("the log begins", bench.Run("vmm", guest.SetSlotFlags(slot, MemslotFlags.LogDirtyPages)), Errno.None);
        bench.Expect("translations", guest.StageTwo.Count, 512);
        bench.Run("vcpu0", vcpu.Run(write));
        DirtyLogOperation log = guest.GetDirtyLog(slot);
        bench.Run("vmm", log);
        bench.Expect("pages in the log", string.Join(' ', log.Pages), "7");
        bench.Expect("the log ends", bench.Run("vmm", guest.SetSlotFlags(slot, MemslotFlags.None)), Errno.None);
        bench.Run("vcpu0", vcpu.Run(write));
        bench.Expect("translations", guest.StageTwo.Count, 1);
    }

    private static Scenario ByBitmap(LabBench bench, InjectedFaults faults)
    {
        Kvm guest = Make(bench, faults, ring: 0);
        Copy copy = new(guest, readEarly: false);
        return Beside(guest, copy, new Round(copy), new Round(copy));
    }

    private static Scenario ByRing(LabBench bench, bool readEarly)
    {
        Kvm guest = Make(bench, InjectedFaults.None, ring: DirtyRing.LeastEntries);
        Copy copy = new(guest, readEarly);
        return Beside(guest, copy, new Round(copy), new Round(copy));
    }

    private static Kvm Make(LabBench bench, InjectedFaults faults, int ring)
    {
        AddressSpace vmm = new(bench.MakeKernel(frames: 128, faults));
        vmm.MapAt(LabBench.Base, 1, VmFlags.Read | VmFlags.Write);
        vmm.Fault(LabBench.Page(0), write: true).Run();
        Kvm guest = new(vmm) { DirtyRingEntries = ring };
        guest.Slots.Add(new Gpa(0), PageSize.Size4K, LabBench.Page(0), MemslotFlags.LogDirtyPages);
        guest.AddVcpu();
        return guest;
    }

    private static Scenario Beside(Kvm guest, Copy copy, Round round, Round last) => new Scenario
    {
        World = guest.Kernel,
        AtEnd = () =>
        {
            last.Run();
            return copy.Taken == copy.Now ? null : $"the copy has {copy.Taken}, and the guest's memory {copy.Now}";
        },
    }.With("vcpu0", guest.Vcpus[0].Run(GuestAccess.Write(new Gpa(0), 1), GuestAccess.Write(new Gpa(0), 2))).With("vmm", round);

    // What has come to the other host of the one page, and how.
    private sealed class Copy(Kvm guest, bool readEarly)
    {
        public Kvm Guest => guest;

        public bool ReadEarly => readEarly;

        public ulong Taken { get; private set; }

        public ulong Now => guest.Process.Tables.LookupPfn(LabBench.Page(0), out Pfn frame, out _, out _)
            ? BinaryPrimitives.ReadUInt64LittleEndian(guest.Kernel.Frames.Bytes(frame)) : 0;

        public void Take() => Taken = Now;
    }

    private sealed class Round(Copy copy) : HostOperation
    {
        private Kvm Guest => copy.Guest;

        public override string Name => "a round of migration";

        protected internal override IEnumerable<Step> Steps()
        {
            if (Guest.Vcpus[0].Ring is not DirtyRing ring)
            {
                DirtyLogOperation log = Guest.GetDirtyLog(Guest.Slots.All[0].Id);
                yield return Step.Through(log);
                foreach (ulong _ in log.Pages)
                {
                    yield return Step.Do("migration: read a page", Guest.Process.TableBit);
                    copy.Take();
                }

                yield break;
            }

            yield return Step.Do("migration: harvest the ring", 0, Guest.DirtyBit | Guest.VcpuBits);
            bool any = ring.Harvest().Count > 0;
            HostOperation<int> reset = Guest.ResetDirtyRings();
            if (!copy.ReadEarly)
            {
                yield return Step.Through(reset);
            }

            if (any)
            {
                yield return Step.Do("migration: read a page", Guest.Process.TableBit);
                copy.Take();
            }

            if (copy.ReadEarly)
            {
                yield return Step.Through(reset);
            }
        }
    }
}
