using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 20 to 22 and 44 of the host-memory table: frames that the hypervisor keeps for its own use.</summary>
[TestFixture]
public sealed class PfnCacheRows
{
    [Test]
    public void Row20_A_cache_is_activated_checked_refreshed_and_deactivated([Values] bool byHva)
    {
        using VmCase vm = new();
        GfnToPfnCache cache = new(vm.Vm);

        Errno activated = byHva ? cache.Activate(new Hva(HostCase.Page(1).Value + 8), 16).Run() : cache.Activate(new Gpa(0x1008), 16).Run();
        bool valid = cache.Check(16);
        Pfn frame = cache.Frame;
        Pfn mapped = vm.Host.FrameAt(HostCase.Page(1));
        int held = vm.Frames[frame].RefCount;
        vm.Host.Process.Discard(HostCase.Page(1), 1).Run();
        bool afterDiscard = cache.Check(16);
        Errno refreshed = cache.Refresh(16).Run();
        bool again = cache.Check(16);
        Pfn now = cache.Frame;
        cache.Deactivate().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(activated, Is.EqualTo(Errno.None));
            Assert.That(valid);
            Assert.That(frame, Is.EqualTo(mapped));
            Assert.That(held, Is.EqualTo(1), "no reference is held");
            Assert.That(afterDiscard, Is.False);
            Assert.That(refreshed, Is.EqualTo(Errno.None));
            Assert.That(again);
            Assert.That(now, Is.EqualTo(vm.Host.FrameAt(HostCase.Page(1))));
            Assert.That(cache.Check(16), Is.False);
        }
    }

    [Test]
    public void Row20_A_change_of_the_slots_makes_the_check_false_until_a_refresh()
    {
        using VmCase vm = new();
        GfnToPfnCache cache = new(vm.Vm);
        cache.Activate(new Gpa(0x1000), 8).Run();
        vm.Vm.Slots.Add(new Gpa(0x100000), 0x1000, new Hva(HostCase.Base * 2));

        bool stale = cache.Check(8);
        cache.Refresh(8).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(stale, Is.False);
            Assert.That(cache.Check(8));
        }
    }

    [TestCase(0x1ff9ul, 8ul, Errno.EINVAL)]
    [TestCase(0x1ff8ul, 8ul, Errno.None)]
    [TestCase(0x1000ul, 0x1001ul, Errno.EINVAL)]
    [TestCase(0x1000ul, 0ul, Errno.EINVAL)]
    [TestCase(0x800000ul, 8ul, Errno.EFAULT)]
    public void Row20_The_bytes_lie_in_one_page_of_memory(ulong gpa, ulong length, Errno error)
    {
        using VmCase vm = new();

        Assert.That(new GfnToPfnCache(vm.Vm).Activate(new Gpa(gpa), length).Run(), Is.EqualTo(error));
    }

    [Test]
    public void Row20_An_address_that_nothing_is_at_is_EFAULT()
    {
        using VmCase vm = new();

        Assert.That(new GfnToPfnCache(vm.Vm).Activate(new Hva(0x5000), 8).Run(), Is.EqualTo(Errno.EFAULT));
    }

    [TestCase(InjectedFaults.None, false)]
    [TestCase(InjectedFaults.CacheNotListed, true)]
    public void Row20_Each_of_two_caches_of_a_page_is_found_by_the_notifier(InjectedFaults faults, bool stale)
    {
        using VmCase vm = new(faults: faults, pages: 1);
        GfnToPfnCache one = new(vm.Vm);
        GfnToPfnCache two = new(vm.Vm);
        one.Activate(new Gpa(0), 8).Run();
        two.Activate(new Gpa(0x10), 8).Run();

        vm.Host.Process.Discard(HostCase.Page(0), 1).Run();

        Assert.That((one.Check(8), two.Check(8)), Is.EqualTo((false, stale)));
    }

    [Test]
    public void Row20_A_refresh_of_an_inactive_cache_is_EINVAL_and_a_failed_activation_leaves_it_active_without_a_frame()
    {
        using VmCase vm = new(pages: 1);
        GfnToPfnCache cache = new(vm.Vm);
        Errno inactive = cache.Refresh(8).Run();
        Errno failed = cache.Activate(new Hva(0x5000), 8).Run();
        bool active = cache.IsActive;
        vm.Host.Process.MapAt(0x5000, 1, VmCase.Rw);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((inactive, failed), Is.EqualTo((Errno.EINVAL, Errno.EFAULT)));
            Assert.That((active, cache.Check(8), cache.IsMapped), Is.EqualTo((true, false, false)));
            Assert.That(cache.Refresh(8).Run(), Is.EqualTo(Errno.None), "now something is there");
            Assert.That(vm.Vm.LiveVmaps, Is.Zero);
        }
    }

    [Test]
    public void Row20_While_a_change_of_the_slots_goes_on_no_check_outlives_it()
    {
        StepScheduler.ExploreAll(() =>
        {
            VmCase vm = new(frames: 128, pages: 1);
            vm.Host.Touch(HostCase.Page(0));
            GfnToPfnCache cache = new(vm.Vm);
            int id = vm.Vm.Slots.All[0].Id;
            return new Scenario
            {
                World = vm,
                AtEnd = () => cache.Check(8) ? "the check is true for a slot that has gone" : null,
            }.With("kvm", cache.Activate(new Gpa(0), 8)).With("vmm", vm.Vm.DeleteSlot(id));
        });
    }

    [Test]
    public void Row21_An_invalidation_between_look_up_and_publication_makes_it_look_again()
    {
        int mostRetries = 0;
        long orders = StepScheduler.ExploreAll(() => RefreshBesideDiscard(InjectedFaults.None, retries => mostRetries = Math.Max(mostRetries, retries)));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(orders, Is.GreaterThan(5));
            Assert.That(mostRetries, Is.Positive);
        }
    }

    [Test]
    public void Row21_Without_the_look_at_the_sequence_a_stale_frame_is_found()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => StepScheduler.ExploreAll(() => RefreshBesideDiscard(InjectedFaults.SkipInvalidateCheck, _ => { })))!;

        Assert.That(failure.Problem, Does.StartWith("the cache shows frame"));
    }

    [Test]
    public void Row44_Without_a_direct_map_a_cache_by_guest_address_has_a_mapping_of_its_own_and_one_by_hva_fails()
    {
        using HostCase host = new(KernelBehavior.Proposed);
        GuestMemfd.Create(host.Kernel, 4 << 12, GuestMemfdFlags.Mmap | GuestMemfdFlags.NoDirectMap, out GuestMemfd? file);
        file!.Map(host.Process, new Hva(HostCase.Base), 4, VmCase.Rw | VmFlags.Shared);
        using Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), 4 << 12, new Hva(HostCase.Base), file, 0);
        vm.SetAttributes(new Gfn(0), 4, isPrivate: true).Run();
        GfnToPfnCache byGpa = new(vm);
        GfnToPfnCache byHva = new(vm);

        Errno gpa = byGpa.Activate(new Gpa(0x1000), 32).Run();
        Errno hva = byHva.Activate(HostCase.Page(1), 32).Run();
        bool valid = byGpa.Check(32);
        bool vmap = byGpa.IsVmap;
        file.PunchHole(0x1000, 0x1000, keepSize: true, out HostOperation? punch);
        punch!.Run();
        bool afterHole = byGpa.Check(32);
        byGpa.Refresh(32).Run();
        bool refreshed = byGpa.Check(32);
        vm.SetAttributes(new Gfn(1), 1, isPrivate: false).Run();
        bool changed = byGpa.Check(32);
        int mappings = vm.LiveVmaps;
        byte[] time = [1, 2, 3, 4];
        Errno written = byGpa.Write(time).Run();
        byte[] seen = new byte[4];
        byGpa.Read(seen).Run();
        byGpa.Deactivate().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((mappings, vm.LiveVmaps), Is.EqualTo((1, 0)));
            Assert.That(written, Is.EqualTo(Errno.None));
            Assert.That(seen, Is.EqualTo(time));
            Assert.That(host.Kernel.Log.Events, Is.Empty, "the direct map is not used for it");
            Assert.That(gpa, Is.EqualTo(Errno.None));
            Assert.That(hva, Is.EqualTo(Errno.EFAULT));
            Assert.That((valid, vmap), Is.EqualTo((true, true)));
            Assert.That(afterHole, Is.False);
            Assert.That(refreshed);
            Assert.That(changed, Is.False, "after a change of attributes");
        }
    }

    private static Scenario RefreshBesideDiscard(InjectedFaults faults, Action<int> retries)
    {
        VmCase vm = new(faults: faults, frames: 128, pages: 2);
        vm.Host.Touch(HostCase.Page(0));
        GfnToPfnCache cache = new(vm.Vm);
        return new Scenario
        {
            World = vm,
            AtEnd = () =>
            {
                bool mapped = vm.Host.Process.Tables.LookupPfn(HostCase.Page(0), out Pfn frame, out _, out _);
                string? problem = cache.Check(8) && (!mapped || frame != cache.Frame) ? $"the cache shows frame {cache.Frame} and the host {(mapped ? frame.ToString() : "nothing")}" : null;
                retries(cache.Retries);
                return problem;
            },
        }.With("vcpu", cache.Activate(new Gpa(0), 8)).With("vmm", vm.Host.Process.Discard(HostCase.Page(0), 1));
    }
}
