using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Holes in files beside whoever maps them.</summary>
[TestFixture]
public sealed class MemoryFileTests
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    [TestCase(false, true)]
    [TestCase(true, true)]
    [TestCase(true, false)]
    public void After_a_hole_is_punched_nobody_maps_the_old_page_in_any_order(bool guest, bool fault)
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            MemoryFile file = new(host.Kernel, 2);
            HostOperation punch = file.Punch(0, 2);
            if (guest)
            {
                GuestMemfd.Create(host.Kernel, 2 << 12, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared, out GuestMemfd? made);
                made!.PunchHole(0, 2 << 12, keepSize: true, out HostOperation? operation);
                (file, punch) = (made, operation!);
            }

            host.Process.MapAt(HostCase.Base, 2, Rw | VmFlags.Shared, file);
            host.Touch(HostCase.Page(1));
            Pfn old = host.FrameAt(HostCase.Page(1));
            host.Frames.Bytes(old)[0] = 0x5A;
            HostOperation beside = fault ? host.Process.Fault(HostCase.Page(1), write: true) : host.Process.Protect(HostCase.Page(1), 1, Rw);
            return new Scenario
            {
                World = host,
                AtEnd = () => host.Process.Tables.LookupPfn(HostCase.Page(1), out Pfn now, out _, out _) && host.Frames.Bytes(now)[0] == 0x5A ? "the old page is mapped" : null,
            }.With("punch", punch).With("beside", beside);
        });

        Assert.That(orders, Is.GreaterThan(1));
    }

    [Test]
    public void A_hole_waits_for_a_migration_of_its_page()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            MemoryFile file = new(host.Kernel, 1);
            host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.Shared, file);
            host.Touch(HostCase.Page(0));
            return new Scenario
            {
                World = host,
                AtEnd = () => file.Cached(0) is null && host.Process.Tables.Find(HostCase.Page(0), out _).IsNone ? null : "the page came back",
            }.With("punch", file.Punch(0, 1)).With("kcompactd", new MigrateOperation(host.Kernel, host.FrameAt(HostCase.Page(0))));
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void A_drivers_page_that_finds_no_table_is_not_counted()
    {
        using HostCase host = new();
        Pfn page = host.Kernel.Allocator.Allocate()!.Value;
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.Shared | VmFlags.MixedMap, new DriverMemory(host.Kernel, page));
        host.Kernel.Allocator.FailAfter = 0;

        VmFault fault = host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fault, Is.EqualTo(VmFault.OutOfMemory));
            Assert.That((host.Frames[page].RefCount, host.Frames[page].MapCount), Is.EqualTo((1, 0)));
        }
    }

    [Test]
    public void Registers_of_a_device_are_no_bytes_for_the_guest_and_no_page_of_the_direct_map()
    {
        using VmCase vm = new(flags: Rw | VmFlags.Shared | VmFlags.PfnMap, backing: kernel => new DriverMemory(kernel, new Pfn(kernel.Frames.Count + 1)), pages: 1);
        GfnToPfnCache cache = new(vm.Vm);

        StageTwoOutcome outcome = vm.Fault(0);
        Errno activated = cache.Activate(VmCase.Gpa(0), 8).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.GuestRead(0), Is.Null);
            Assert.That(vm.GuestWrite(0, 1), Is.False);
            Assert.That((activated, cache.IsVmap), Is.EqualTo((Errno.None, true)));
        }
    }
}
