using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Migration beside what changes the page or the range meanwhile; rows 19 and 24 have the rest.</summary>
[TestFixture]
public sealed class MigrateOperationTests
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;
    private const VmFlags RwShared = Rw | VmFlags.Shared;

    [Test]
    public void Pages_of_memfd_secret_and_guest_memfd_stay([Values] bool secret)
    {
        using HostCase host = new(KernelBehavior.Proposed);
        GuestMemfd.Create(host.Kernel, 1 << 12, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared, out GuestMemfd? guest);
        host.Process.MapAt(HostCase.Base, 1, RwShared, secret ? new SecretFile(host.Kernel, 1) : guest);
        host.Touch(HostCase.Page(0));
        Pfn frame = host.FrameAt(HostCase.Page(0));

        Errno error = new MigrateOperation(host.Kernel, frame).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(error, Is.EqualTo(Errno.EBUSY));
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(frame));
            Assert.That(host.Kernel.DirectMap.IsAbsent(frame), Is.EqualTo(secret));
        }
    }

    [TestCase(VmFlags.None)]
    [TestCase(VmFlags.Read)]
    public void Rights_that_mprotect_takes_meanwhile_do_not_come_back(VmFlags rights)
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            host.Process.MapAt(HostCase.Base, 1, Rw);
            host.Touch(HostCase.Page(0));
            return new Scenario
            {
                World = host,
                AtEnd = () => host.Process.Tables.Find(HostCase.Page(0), out _) is var entry && !entry.IsWritable && entry.IsPresent == (rights == VmFlags.Read)
                    ? null : $"the entry is {entry} and the range allows {rights}",
            }.With("kcompactd", new MigrateOperation(host.Kernel, host.FrameAt(HostCase.Page(0)))).With("vmm", host.Process.Protect(HostCase.Page(0), 1, rights));
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void A_page_that_left_its_file_does_not_come_back_to_it()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 1);
        host.Process.MapAt(HostCase.Base, 1, RwShared, file);
        host.Touch(HostCase.Page(0));
        GupOperation held = host.Gup(HostCase.Page(0), FollFlags.Get);
        file.Punch(0, 1).Run();

        new MigrateOperation(host.Kernel, held.Frames[0]).Run();

        Assert.That(file.Cached(0), Is.Null);
    }

    [Test]
    public void A_process_that_exits_meanwhile_is_left_alone()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            ulong free = host.Kernel.Allocator.FreeFrames;
            host.Process.MapAt(HostCase.Base, 1, Rw);
            host.Touch(HostCase.Page(0));
            Pfn frame = host.FrameAt(HostCase.Page(0));
            AddressSpace child = host.Process.Fork("child").Run();
            return new Scenario
            {
                World = host,
                AtEnd = () => host.Kernel.Log.Count == 0 && host.FreeAfterExit() == free + 1 ? null : $"{host.Kernel.Allocator.FreeFrames} frames are free, of {free} and the root",
            }.With("kcompactd", new MigrateOperation(host.Kernel, frame)).With("child", child.Exit());
        });

        Assert.That(orders, Is.GreaterThan(5));
    }
}
