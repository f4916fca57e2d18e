using System.Buffers.Binary;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The log of what the guest writes, by bitmap and by ring: live migration copies by it, and the copy must be the guest's memory.</summary>
[TestFixture]
public sealed class DirtyLogTests
{
    private const ulong Page = 0x1000;

    [Test]
    public void The_bitmap_has_what_was_written_since_it_was_last_given_out()
    {
        using VmCase vm = new(pages: 100);
        KvmVcpu vcpu = vm.Vm.AddVcpu();
        int id = Log(vm);
        Write(vcpu, 3, 70);
        ulong[] first = Get(vm, id);
        ulong[] nothing = Get(vm, id);
        Write(vcpu, 70);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(new ulong[] { 3, 70 }));
            Assert.That(nothing, Is.Empty);
            Assert.That(Get(vm, id), Is.EqualTo(new ulong[] { 70 }));
        }
    }

    [Test]
    public void With_manual_protection_giving_it_out_changes_nothing_and_clearing_clears_what_is_named()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 100, VmCase.Rw);
        using Kvm vm = new(host.Process) { DirtyLogModes = DirtyLogModes.ManualProtect };
        int id = vm.Slots.Add(new Gpa(0), 100 * Page, new Hva(HostCase.Base)).Id;
        KvmVcpu vcpu = vm.AddVcpu();
        vm.SetSlotFlags(id, MemslotFlags.LogDirtyPages).Run();
        Write(vcpu, 1, 65);
        ulong[] first = [.. Got(vm, id)];
        ulong[] again = [.. Got(vm, id)];
        Errno cleared = vm.ClearDirtyLog(id, 64, 36, [2]).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(new ulong[] { 1, 65 }));
            Assert.That(again, Is.EqualTo(first));
            Assert.That(cleared, Is.EqualTo(Errno.None));
            Assert.That(Got(vm, id), Is.EqualTo(new ulong[] { 1 }));
            Assert.That(vm.ClearDirtyLog(id, 1, 64, [0, 0]).Run(), Is.EqualTo(Errno.EINVAL), "not at a word");
            Assert.That(vm.ClearDirtyLog(id, 0, 10, [0]).Run(), Is.EqualTo(Errno.EINVAL), "not whole words");
            Assert.That(vm.ClearDirtyLog(id, 64, 64, [0]).Run(), Is.EqualTo(Errno.EINVAL), "beyond the end");
            Assert.That(vm.ClearDirtyLog(id, 0, 64, []).Run(), Is.EqualTo(Errno.EINVAL), "no bits");
            Assert.That(vm.GetDirtyLog(9).Run(), Is.EqualTo(Errno.ENOENT), "no such slot");
        }
    }

    [Test]
    public void Initially_set_all_pages_count_as_written_and_large_translations_stay_until_they_are_cleared()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 512, VmCase.Rw | VmFlags.HugePage);
        using Kvm vm = new(host.Process) { DirtyLogModes = DirtyLogModes.ManualProtect | DirtyLogModes.InitiallySet };
        int id = vm.Slots.Add(new Gpa(0), 512 * Page, new Hva(HostCase.Base)).Id;
        KvmVcpu vcpu = vm.AddVcpu();
        Write(vcpu, 0);
        vm.SetSlotFlags(id, MemslotFlags.LogDirtyPages).Run();
        int level = LevelOf(vm, 0);
        ulong[] all = [.. Got(vm, id)];
        vm.ClearDirtyLog(id, 0, 512, [.. Enumerable.Repeat(ulong.MaxValue, 8)]).Run();
        Write(vcpu, 5);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(level, Is.EqualTo(2));
            Assert.That(all, Has.Length.EqualTo(512));
            Assert.That(LevelOf(vm, 5), Is.EqualTo(1));
            Assert.That(Got(vm, id), Is.EqualTo(new ulong[] { 5 }));
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public void Large_translations_are_split_for_the_log_and_come_back_after_it(bool eager)
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 512, VmCase.Rw | VmFlags.HugePage);
        using Kvm vm = new(host.Process) { EagerPageSplit = eager };
        int id = vm.Slots.Add(new Gpa(0), 512 * Page, new Hva(HostCase.Base)).Id;
        KvmVcpu vcpu = vm.AddVcpu();
        Write(vcpu, 0);
        int before = LevelOf(vm, 7);
        vm.SetSlotFlags(id, MemslotFlags.LogDirtyPages).Run();
        int logged = LevelOf(vm, 7);
        bool writable = vm.StageTwo.Entries.Any(one => one.Entry.Writable);
        Write(vcpu, 7);
        int written = LevelOf(vm, 7);
        ulong[] pages = [.. Got(vm, id)];
        vm.SetSlotFlags(id, MemslotFlags.None).Run();
        Write(vcpu, 7);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((before, logged, written), Is.EqualTo((2, eager ? 1 : 2, 1)));
            Assert.That(writable, Is.False);
            Assert.That(pages, Is.EqualTo(new ulong[] { 7 }));
            Assert.That(LevelOf(vm, 7), Is.EqualTo(2));
        }
    }

    [Test]
    public void Nothing_that_the_guest_writes_is_missing_from_the_copy_in_any_order([Values] bool manual)
    {
        long orders = StepScheduler.ExploreAll(() => MigrationByBitmap(InjectedFaults.None, manual));

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Without_a_flush_before_the_bitmap_is_given_out_a_write_is_missing()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => StepScheduler.ExploreAll(() => MigrationByBitmap(InjectedFaults.SkipStageTwoFlush, manual: false)))!;

        Assert.That(failure.Problem, Does.StartWith("page 0 of the copy has"));
    }

    [Test]
    public void By_ring_nothing_is_missing_where_the_pages_are_read_after_the_reset()
    {
        long orders = StepScheduler.ExploreAll(() => MigrationByRing(copyFirst: false));

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void By_ring_a_write_is_missing_where_the_pages_are_read_before_the_reset()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(() => StepScheduler.ExploreAll(() => MigrationByRing(copyFirst: true)))!;

        Assert.That(failure.Problem, Does.StartWith("page 0 of the copy has"));
    }

    [Test]
    public void A_vcpu_whose_ring_is_nearly_full_leaves_until_it_is_harvested_and_reset()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 8, VmCase.Rw);
        using Kvm vm = new(host.Process) { DirtyRingEntries = 8 };
        vm.Slots.Add(new Gpa(0), 8 * Page, new Hva(HostCase.Base), MemslotFlags.LogDirtyPages);
        KvmVcpu vcpu = vm.AddVcpu();
        VcpuRun run = vcpu.Run([.. Enumerable.Range(0, 8).Select(page => GuestAccess.Write(new Gpa((ulong)page * Page), 1))]);
        KvmExit full = run.Run();
        KvmExit still = vcpu.Run(GuestAccess.Read(new Gpa(0))).Run();
        IReadOnlyList<DirtyPage> harvested = vcpu.Ring!.Harvest();
        KvmExit unreset = vcpu.Run(GuestAccess.Read(new Gpa(0))).Run();
        int reset = vm.ResetDirtyRings().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((full.Reason, still.Reason, unreset.Reason), Is.EqualTo((KvmExitReason.DirtyRingFull, KvmExitReason.DirtyRingFull, KvmExitReason.DirtyRingFull)));
            Assert.That(run.Completed, Is.LessThan(8));
            Assert.That(harvested.Select(page => page.Page), Is.EqualTo(new ulong[] { 0, 1, 2, 3 }));
            Assert.That(reset, Is.EqualTo(4));
            Assert.That(vcpu.Ring.Used, Is.Zero);
            Assert.That(vcpu.Run(GuestAccess.Write(new Gpa(0), 2)).Run().Reason, Is.EqualTo(KvmExitReason.Halted));
            Assert.That(vcpu.Ring.Harvest(), Is.EqualTo(new DirtyPage[] { harvested[0] }), "its pages were protected again");
            Assert.That(() => new Kvm(host.Process) { DirtyRingEntries = 6 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        }
    }

    [TestCase(0)]
    [TestCase(8)]
    public void What_KVM_writes_itself_is_in_the_bitmap(int ring)
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 8, VmCase.Rw);
        using Kvm vm = new(host.Process) { DirtyRingEntries = ring };
        int id = vm.Slots.Add(new Gpa(0), 8 * Page, new Hva(HostCase.Base), MemslotFlags.LogDirtyPages).Id;
        vm.AddVcpu();
        GfnToPfnCache cache = new(vm);
        cache.Activate(new Gpa(0x2000), 8).Run();
        cache.Write(new byte[] { 1, 2 }).Run();
        MapForever map = new(vm, new Gfn(5));
        map.Run();
        map.Unmap().Run();

        Assert.That(Got(vm, id), Is.EqualTo(new ulong[] { 2, 5 }));
    }

    private static int Log(VmCase vm)
    {
        int id = vm.Vm.Slots.All[0].Id;
        vm.Vm.SetSlotFlags(id, MemslotFlags.LogDirtyPages).Run();
        return id;
    }

    private static void Write(KvmVcpu vcpu, params ReadOnlySpan<int> pages)
    {
        foreach (int page in pages)
        {
            Assert.That(vcpu.Run(GuestAccess.Write(VmCase.Gpa(page), 1)).Run().Reason, Is.EqualTo(KvmExitReason.Halted));
        }
    }

    private static ulong[] Get(VmCase vm, int id) => [.. Got(vm.Vm, id)];

    private static IEnumerable<ulong> Got(Kvm vm, int id)
    {
        DirtyLogOperation log = vm.GetDirtyLog(id);
        Assert.That(log.Run(), Is.EqualTo(Errno.None));
        return log.Pages;
    }

    private static int LevelOf(Kvm vm, int page) => vm.StageTwo.TryFind(new Gfn((ulong)page), out StageTwoEntry entry, out _) ? entry.Level : 0;

    private static Scenario MigrationByBitmap(InjectedFaults faults, bool manual)
    {
        HostCase host = new(faults: faults, frames: 128);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
        host.Touch(HostCase.Page(0));
        Kvm vm = new(host.Process) { DirtyLogModes = manual ? DirtyLogModes.ManualProtect : DirtyLogModes.None };
        int id = vm.Slots.Add(new Gpa(0), Page, new Hva(HostCase.Base), MemslotFlags.LogDirtyPages).Id;
        KvmVcpu vcpu = vm.AddVcpu();
        Copy copy = new(host, vm);
        return new Scenario { World = host, AtEnd = () => copy.Difference(new Round(copy, id)) }
            .With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1), GuestAccess.Write(new Gpa(0), 2)))
            .With("vmm", new Round(copy, id));
    }

    private static Scenario MigrationByRing(bool copyFirst)
    {
        HostCase host = new(frames: 128);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
        host.Touch(HostCase.Page(0));
        Kvm vm = new(host.Process) { DirtyRingEntries = 4 };
        vm.Slots.Add(new Gpa(0), Page, new Hva(HostCase.Base), MemslotFlags.LogDirtyPages);
        KvmVcpu vcpu = vm.AddVcpu();
        Copy copy = new(host, vm);
        return new Scenario { World = host, AtEnd = () => copy.Difference(new RingRound(copy, vcpu, copyFirst: false)) }
            .With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1), GuestAccess.Write(new Gpa(0), 2)))
            .With("vmm", new RingRound(copy, vcpu, copyFirst));
    }

    // The other host's memory: what the rounds have copied.
    private sealed class Copy(HostCase host, Kvm vm)
    {
        private readonly Dictionary<ulong, ulong> pages = [];

        public Kvm Vm => vm;

        public void Take(ulong page) => pages[page] = Value(page);

        public string? Difference(HostOperation lastRound)
        {
            lastRound.Run();
            return pages.GetValueOrDefault(0UL) == Value(0) ? null : $"page 0 of the copy has {pages.GetValueOrDefault(0UL)}, and the guest's has {Value(0)}";
        }

        private ulong Value(ulong page) => BinaryPrimitives.ReadUInt64LittleEndian(host.Frames.Bytes(host.FrameAt(HostCase.Page((int)page))));
    }

    private sealed class Round(Copy copy, int slot) : HostOperation
    {
        public override string Name => "a round of migration";

        protected override IEnumerable<Step> Steps()
        {
            DirtyLogOperation log = copy.Vm.GetDirtyLog(slot);
            yield return Step.Through(log);
            if (copy.Vm.DirtyLogModes.HasFlag(DirtyLogModes.ManualProtect))
            {
                yield return Step.Through(copy.Vm.ClearDirtyLog(slot, 0, 1, log.Bitmap));
            }

            foreach (ulong page in log.Pages)
            {
                yield return Step.Do("copy a page", copy.Vm.Process.TableBit);
                copy.Take(page);
            }
        }
    }

    private sealed class RingRound(Copy copy, KvmVcpu vcpu, bool copyFirst) : HostOperation
    {
        public override string Name => "a round of migration";

        protected override IEnumerable<Step> Steps()
        {
            yield return Step.Do("harvest", 0, copy.Vm.DirtyBit | vcpu.Bit);
            IReadOnlyList<DirtyPage> pages = vcpu.Ring!.Harvest();
            if (!copyFirst)
            {
                yield return Step.Through(copy.Vm.ResetDirtyRings());
            }

            foreach (DirtyPage page in pages)
            {
                yield return Step.Do("copy a page", copy.Vm.Process.TableBit);
                copy.Take(page.Page);
            }

            if (copyFirst)
            {
                yield return Step.Through(copy.Vm.ResetDirtyRings());
            }
        }
    }
}
