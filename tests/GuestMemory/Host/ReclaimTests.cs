using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Pages that leave memory when it is short, and come back. Row 13 too: what was used since the last look stays.</summary>
[TestFixture]
public sealed class ReclaimTests
{
    [Test]
    public void Row13_A_page_that_the_guest_has_used_gets_a_second_chance()
    {
        using VmCase vm = new();
        vm.Fault(1);
        vm.GuestWrite(1, 0xABCD);
        Pfn page = vm.Installed(1)!.Value;

        Errno used = new ReclaimOperation(vm.Kernel, page).Run();
        bool still = vm.Installed(1) == page;
        vm.GuestWrite(1, 0xABCE);
        Errno usedAgain = new ReclaimOperation(vm.Kernel, page).Run();
        Errno cold = new ReclaimOperation(vm.Kernel, page).Run();
        bool zapped = vm.Installed(1) is null;
        bool swapped = vm.Host.Process.Tables.Find(HostCase.Page(1), out _).IsSwap;
        StageTwoOutcome back = vm.Fault(1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((used, usedAgain, cold), Is.EqualTo((Errno.EAGAIN, Errno.EAGAIN, Errno.None)));
            Assert.That((still, zapped, swapped), Is.EqualTo((true, true, true)));
            Assert.That(back, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.GuestRead(1), Is.EqualTo(0xABCE));
            Assert.That(vm.Kernel.Swap.Used, Is.Zero, "the slot is free again");
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(FollFlags.Pin)]
    [TestCase(FollFlags.Get)]
    public void A_page_that_somebody_holds_stays(FollFlags hold)
    {
        using HostCase host = Mapped();
        GupOperation held = host.Gup(HostCase.Page(0), hold | FollFlags.Write);
        host.Frames.Bytes(held.Frames[0])[0] = 9;

        new ReclaimOperation(host.Kernel, held.Frames[0]).Run();
        Errno result = new ReclaimOperation(host.Kernel, held.Frames[0]).Run();
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(result, Is.EqualTo(Errno.EAGAIN));
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(held.Frames[0]));
            Assert.That((host.Frames[held.Frames[0]].RefCount, host.Kernel.Swap.Used), Is.EqualTo((2, 0)));
        }
    }

    [Test]
    public void Reclaim_that_does_not_mind_pins_parts_the_device_from_the_process()
    {
        using HostCase host = Mapped(InjectedFaults.ReclaimHeld);
        GupOperation pin = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write);
        new ReclaimOperation(host.Kernel, pin.Frames[0]).Run();
        new ReclaimOperation(host.Kernel, pin.Frames[0]).Run();
        host.Frames.Bytes(pin.Frames[0])[0] = 9;
        host.Touch(HostCase.Page(0));

        Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0], Is.Zero, "the device's write is not seen");
    }

    [Test]
    public void After_fork_both_find_the_page_in_swap_and_a_write_still_copies()
    {
        using HostCase host = Mapped();
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(page)[0] = 0x42;
        AddressSpace child = host.Process.Fork("child").Run();
        Reclaim(host, page);
        int entries = host.Kernel.Swap.Used;

        child.Fault(HostCase.Page(0), write: true).Run();
        child.Tables.LookupPfn(HostCase.Page(0), out Pfn childs, out _, out bool writable);
        host.Frames.Bytes(childs)[0] = 0x43;
        host.Touch(HostCase.Page(0), write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(entries, Is.EqualTo(1));
            Assert.That(writable);
            Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0], Is.EqualTo(0x42));
            Assert.That(host.Kernel.Swap.Used, Is.Zero);
            Assert.That(host.FreeAfterExit(), Is.EqualTo(4096 - 16));
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void A_place_in_swap_that_loses_its_last_entry_beside_a_migration_is_free()
    {
        Orders.Explore(() =>
        {
            HostCase host = Mapped(frames: 128);
            AddressSpace child = host.Process.Fork("child").Run();
            Reclaim(host, host.FrameAt(HostCase.Page(0)));
            host.Touch(HostCase.Page(0), write: false);
            return new Scenario
            {
                World = host,
                AtEnd = () => host.Kernel.Swap.Used == 0 ? null : "nobody has an entry, and the place is taken",
            }.With("migration", new MigrateOperation(host.Kernel, host.FrameAt(HostCase.Page(0)))).With("child", child.Discard(HostCase.Page(0), 1));
        });
    }

    [Test]
    public void A_fork_of_what_is_in_swap_shares_it()
    {
        using HostCase host = Mapped();
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(page)[0] = 0x42;
        Reclaim(host, page);
        AddressSpace child = host.Process.Fork("child").Run();
        ulong slot = host.Process.Tables.Find(HostCase.Page(0), out _).SwapSlot;
        int count = host.Kernel.Swap.Count(slot);
        host.Touch(HostCase.Page(0));
        host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0] = 1;
        child.Fault(HostCase.Page(0), write: false).Run();
        child.Tables.LookupPfn(HostCase.Page(0), out Pfn childs, out _, out _);

        Assert.That((count, (int)host.Frames.Bytes(childs)[0], host.Kernel.Swap.Used), Is.EqualTo((2, 0x42, 0)));
        Assert.That(host.FreeAfterExit(), Is.EqualTo(4096 - 16));
    }

    [Test]
    public void A_memfd_goes_to_swap_and_a_punched_page_leaves_it()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 2);
        host.Process.MapAt(HostCase.Base, 2, VmCase.Rw | VmFlags.Shared, file);
        host.Touch(HostCase.Page(0));
        host.Touch(HostCase.Page(1));
        host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0] = 0x24;
        Reclaim(host, host.FrameAt(HostCase.Page(0)));
        Reclaim(host, host.FrameAt(HostCase.Page(1)));
        int swapped = file.SwappedPages;
        file.Punch(1, 1).Run();
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(swapped, Is.EqualTo(2));
            Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0], Is.EqualTo(0x24));
            Assert.That((file.SwappedPages, host.Kernel.Swap.Used), Is.EqualTo((0, 0)));
            Assert.That(host.Frames[host.FrameAt(HostCase.Page(0))].Has(FrameFlags.Dirty), "swap has it no more");
        }
    }

    [Test]
    public void A_file_is_dropped_when_it_is_clean_and_waits_for_writeback_when_it_is_not()
    {
        using HostCase host = new();
        DiskFile file = new(host.Kernel, 1);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, file);
        host.Touch(HostCase.Page(0));
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(page)[0] = 0x31;
        new ReclaimOperation(host.Kernel, page).Run();
        Errno dirty = new ReclaimOperation(host.Kernel, page).Run();
        file.Writeback(0).Run();
        Errno clean = new ReclaimOperation(host.Kernel, page).Run();
        bool dropped = file.Cached(0) is null;
        host.Touch(HostCase.Page(0), write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((dirty, clean), Is.EqualTo((Errno.EAGAIN, Errno.None)));
            Assert.That(dropped);
            Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0], Is.EqualTo(0x31));
            Assert.That(host.Kernel.Swap.Writes, Is.Zero);
        }
    }

    [Test]
    public void Without_room_in_swap_the_page_stays_and_nothing_has_changed()
    {
        using HostKernel kernel = new(new HostKernelOptions { Frames = 256, SwapPages = 0, Memory = HostMemoryKind.Anonymous });
        AddressSpace process = new(kernel);
        process.MapAt(HostCase.Base, 1, VmCase.Rw);
        process.Fault(HostCase.Page(0), write: true).Run();
        process.Tables.LookupPfn(HostCase.Page(0), out Pfn page, out _, out _);
        new ReclaimOperation(kernel, page).Run();
        PageFrame before = kernel.Frames[page];

        Assert.That(new ReclaimOperation(kernel, page).Run(), Is.EqualTo(Errno.ENOMEM));
        Assert.That((kernel.Frames[page].RefCount, kernel.Frames[page].MapCount, kernel.Frames[page].Flags), Is.EqualTo((before.RefCount, before.MapCount, before.Flags)));
    }

    [Test]
    public void A_look_up_that_must_not_wait_does_not_read_from_swap()
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        Reclaim(vm.Host, vm.Host.FrameAt(HostCase.Page(0)));

        Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.NoWait)).Result, Is.EqualTo(PfnResult.NeedsIo));
        Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.None)).Result.IsError, Is.False);
    }

    [Test]
    public void Shrinking_takes_large_pages_apart_and_leaves_what_is_not_to_go()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 512, VmCase.Rw | VmFlags.HugePage);
        host.Process.MapAt(HostCase.Base + (1ul << 30), 1, VmCase.Rw | VmFlags.Shared, new SecretFile(host.Kernel, 1));
        host.Touch(HostCase.Page(0));
        host.Touch(new Hva(HostCase.Base + (1ul << 30)));
        Pfn head = host.FrameAt(HostCase.Page(0));
        Pfn secret = host.FrameAt(new Hva(HostCase.Base + (1ul << 30)));
        host.Frames.Bytes(new Pfn(head.Value + 300))[3] = 0x55;

        int freed = new ShrinkOperation(host.Kernel, 10_000).Run();
        bool gone = host.Process.Tables.Find(HostCase.Page(300), out _).IsSwap;
        host.Touch(HostCase.Page(300));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(freed, Is.EqualTo(512));
            Assert.That(gone);
            Assert.That(host.Frames.Bytes(host.FrameAt(HostCase.Page(300)))[3], Is.EqualTo(0x55));
            Assert.That(host.FrameAt(new Hva(HostCase.Base + (1ul << 30))), Is.EqualTo(secret));
            Assert.That(host.FreeAfterExit(), Is.EqualTo(4096 - 16 - 1), "the secret file's page stays with its file");
            Assert.That(host.Kernel.Swap.Used, Is.Zero);
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public void A_guests_fault_beside_reclaim_finds_its_bytes_in_every_order(bool write)
    {
        long orders = Orders.Explore(() =>
        {
            VmCase vm = new(pages: 1, frames: 128);
            vm.Fault(0);
            vm.GuestWrite(0, 0x5AA5);
            Pfn page = vm.Installed(0)!.Value;
            new ReclaimOperation(vm.Kernel, page).Run();
            return new Scenario
            {
                World = vm,
                Always = () => StageTwoCheck.Problem(vm.Vm),
                AtEnd = () =>
                {
                    vm.Fault(0, write: false);
                    return vm.GuestRead(0) != 0x5AA5 ? "the content is lost" : vm.Kernel.Swap.Used > 1 ? "a slot is lost" : null;
                },
            }.With("vcpu", new StageTwoFault(vm.Vm, VmCase.Gpa(0), write)).With("kswapd", new ReclaimOperation(vm.Kernel, page));
        });

        Assert.That(orders, Is.GreaterThan(20));
    }

    [Test]
    public void Two_faults_on_one_page_in_swap_read_it_once_or_find_it()
    {
        Orders.Explore(() =>
        {
            HostCase host = new(frames: 128);
            host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
            host.Touch(HostCase.Page(0));
            host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0] = 0x42;
            AddressSpace child = host.Process.Fork("child").Run();
            Reclaim(host, host.FrameAt(HostCase.Page(0)));
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    child.Tables.LookupPfn(HostCase.Page(0), out Pfn childs, out _, out _);
                    bool lost = host.Frames.Bytes(childs)[0] != 0x42 || host.Frames.Bytes(host.FrameAt(HostCase.Page(0)))[0] != 0x42;
                    bool leaked = host.Kernel.Swap.Used != 0;
                    return lost ? "the content is lost" : leaked ? "a slot is lost" : host.FreeAfterExit() != 128 - 16 ? "a frame is lost" : null;
                },
            }.With("parent", host.Process.Fault(HostCase.Page(0), write: true)).With("child", child.Fault(HostCase.Page(0), write: true));
        });
    }

    private static HostCase Mapped(InjectedFaults faults = InjectedFaults.None, ulong frames = 4096)
    {
        HostCase host = new(faults: faults, frames: frames);
        host.Process.MapAt(HostCase.Base, 1, VmCase.Rw);
        host.Touch(HostCase.Page(0));
        return host;
    }

    private static void Reclaim(HostCase host, Pfn page)
    {
        for (int i = 0; i < 2; i++)
        {
            if (new ReclaimOperation(host.Kernel, page).Run() == Errno.None)
            {
                return;
            }
        }

        Assert.Fail("the page did not go");
    }
}
