using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Each flag of get_user_pages, and which go together.</summary>
[TestFixture]
public sealed class GupFlagsTests
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;
    private const FollFlags Slow = FollFlags.HwPoison;

    [TestCase(FollFlags.Get | FollFlags.Pin)]
    [TestCase(FollFlags.Get | FollFlags.LongTerm)]
    [TestCase(FollFlags.Pin | FollFlags.LongTerm | FollFlags.PciP2pDma)]
    [TestCase(FollFlags.Get | FollFlags.Tried)]
    [TestCase(FollFlags.Get | FollFlags.Touch)]
    [TestCase(FollFlags.Get | FollFlags.FastOnly | FollFlags.Interruptible)]
    [TestCase(FollFlags.Get | FollFlags.FastOnly | FollFlags.NoWait)]
    [TestCase(FollFlags.FastOnly)]
    public void What_does_not_go_together_is_EINVAL_and_takes_nothing(FollFlags flags)
    {
        using HostCase host = Mapped();
        int references = host.Frames[host.FrameAt(HostCase.Page(0))].RefCount;

        Assert.That(host.Gup(HostCase.Page(0), flags).Result, Is.EqualTo(new GupResult(0, Errno.EINVAL)));
        Assert.That(host.Frames[host.FrameAt(HostCase.Page(0))].RefCount, Is.EqualTo(references));
    }

    [Test]
    public void Force_writes_a_private_read_only_page_into_a_copy_and_never_a_shared_one()
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 2);
        host.Process.MapAt(HostCase.Base, 1, VmFlags.Read, file);
        host.Process.MapAt(HostCase.Base + 0x1000, 1, VmFlags.Read | VmFlags.Shared, file, offset: 1);
        host.Touch(HostCase.Page(0), write: false);
        Pfn cached = file.Cached(0)!.Value;

        GupResult without = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Write).Result;
        GupOperation forced = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Write | FollFlags.Force);
        GupResult shared = host.Gup(HostCase.Page(1), FollFlags.Get | FollFlags.Write | FollFlags.Force).Result;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(without.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(shared.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(forced.Result.Pages, Is.EqualTo(1));
            Assert.That(forced.Frames[0], Is.Not.EqualTo(cached));
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(forced.Frames[0]));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsWritable, Is.False, "the process still may not write");
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Write | FollFlags.Force).Frames[0], Is.EqualTo(forced.Frames[0]), "the copy is made once");
        }
    }

    [Test]
    public void Force_reads_what_has_no_rights()
    {
        using HostCase host = Mapped();
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Process.Protect(HostCase.Page(0), 1, VmFlags.None).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Force).Frames[0], Is.EqualTo(page));
            GupOperation write = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Force | FollFlags.Write);
            Assert.That(write.Frames[0], Is.EqualTo(page), "it is the process's own already");
            Assert.That(host.Touch(HostCase.Page(0), write: false), Is.EqualTo(VmFault.SigSegv));
        }
    }

    [Test]
    public void Dump_makes_no_page_in_a_hole()
    {
        using HostCase host = Mapped(pages: 2);
        ulong free = host.Kernel.Allocator.FreeFrames;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(1), FollFlags.Get | FollFlags.Dump).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Dump).Result.Pages, Is.EqualTo(1));
        }
    }

    [Test]
    public void NoFault_takes_what_is_there_and_nothing_else()
    {
        using HostCase host = Mapped(pages: 2);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.NoFault).Result.Pages, Is.EqualTo(1));
            Assert.That(host.Gup(HostCase.Page(1), FollFlags.Get | FollFlags.NoFault).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.NoFault, count: 2).Result.Pages, Is.EqualTo(1), "up to the first that is not");
        }
    }

    [Test]
    public void Anon_is_for_anonymous_ranges()
    {
        using HostCase host = Mapped();
        host.Process.MapAt(HostCase.Base + 0x1000, 1, Rw | VmFlags.Shared, new MemoryFile(host.Kernel, 1));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Anon).Result.Pages, Is.EqualTo(1));
            Assert.That(host.Gup(HostCase.Page(1), FollFlags.Get | FollFlags.Anon).Result.Error, Is.EqualTo(Errno.EFAULT));
        }
    }

    [Test]
    public void A_long_term_pin_takes_its_page_out_of_movable_memory_first()
    {
        using HostCase host = Mapped(movable: 256);
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(page)[7] = 0x77;
        bool wasMovable = host.Kernel.Allocator.IsMovable(page);

        GupOperation brief = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write);
        Pfn briefly = brief.Frames[0];
        host.Kernel.Folios.Unpin(briefly);
        GupOperation pin = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write | FollFlags.LongTerm);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(wasMovable);
            Assert.That(briefly, Is.EqualTo(page));
            Assert.That(host.Kernel.Allocator.IsMovable(pin.Frames[0]), Is.False);
            Assert.That(host.FrameAt(HostCase.Page(0)), Is.EqualTo(pin.Frames[0]));
            Assert.That(host.Frames.Bytes(pin.Frames[0])[7], Is.EqualTo(0x77));
            Assert.That((host.Frames[pin.Frames[0]].RefCount, host.Frames[pin.Frames[0]].PinCount), Is.EqualTo((2, 1)));
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void A_long_term_pin_of_a_large_movable_page_takes_it_apart()
    {
        using HostCase host = new(frames: 4096, movable: 2048);
        host.Process.MapAt(HostCase.Base, 512, Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(5));
        bool wasMovable = host.Kernel.Allocator.IsMovable(host.FrameAt(HostCase.Page(5)));

        GupOperation pin = host.Gup(HostCase.Page(5), FollFlags.Pin | FollFlags.Write | FollFlags.LongTerm);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(wasMovable);
            Assert.That(pin.Result.Pages, Is.EqualTo(1));
            Assert.That(host.Kernel.Allocator.IsMovable(pin.Frames[0]), Is.False);
            Assert.That(host.Kernel.Allocator.IsMovable(host.FrameAt(HostCase.Page(6))), "the others stay");
        }
    }

    [Test]
    public void A_movable_page_that_somebody_holds_cannot_be_pinned_for_long()
    {
        using HostCase host = Mapped(movable: 256);
        GupOperation held = host.Gup(HostCase.Page(0), FollFlags.Get);
        PageFrame before = host.Frames[held.Frames[0]];

        GupResult pin = host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.LongTerm | FollFlags.Write).Result;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(pin, Is.EqualTo(new GupResult(0, Errno.ENOMEM)));
            Assert.That((host.Frames[held.Frames[0]].RefCount, host.Frames[held.Frames[0]].PinCount), Is.EqualTo((before.RefCount, 0)));
        }
    }

    [TestCase(false, FollFlags.Pin | FollFlags.LongTerm | FollFlags.Write, Errno.EFAULT)]
    [TestCase(false, FollFlags.Pin | FollFlags.LongTerm, Errno.None)]
    [TestCase(false, FollFlags.Pin | FollFlags.Write, Errno.None)]
    [TestCase(true, FollFlags.Pin | FollFlags.LongTerm, Errno.EOPNOTSUPP)]
    [TestCase(true, FollFlags.Pin, Errno.None)]
    public void A_file_that_has_to_know_of_writes_is_not_pinned_for_long(bool dax, FollFlags flags, Errno expected)
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.Shared, new DiskFile(host.Kernel, 1) { Dax = dax });
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(0), flags | FollFlags.FastOnly).Result.Pages, Is.EqualTo(expected == Errno.None ? 1 : 0), "fast");
            Assert.That(host.Gup(HostCase.Page(0), flags | Slow).Result.Error, Is.EqualTo(expected), "slow");
        }
    }

    [Test]
    public void SplitPmd_splits_the_leaf_and_leaves_the_page_whole()
    {
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 512, Rw | VmFlags.HugePage);
        host.Touch(HostCase.Page(0));
        Pfn head = host.FrameAt(HostCase.Page(0));

        GupOperation gup = host.Gup(HostCase.Page(9), FollFlags.Get | FollFlags.SplitPmd);
        host.Process.Tables.Find(HostCase.Page(9), out int level);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(level, Is.EqualTo(1));
            Assert.That(gup.Frames[0].Value, Is.EqualTo(head.Value + 9));
            Assert.That((host.Frames[head].Order, host.Frames[head].MapCount, host.Frames[head].RefCount), Is.EqualTo((9, 512, 513)));
        }
    }

    [Test]
    public void Memory_of_a_device_is_for_those_who_ask_for_it()
    {
        using HostCase host = new();
        Pfn page = host.Kernel.Allocator.Allocate()!.Value;
        host.Frames[page].Flags |= FrameFlags.PciP2pDma;
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.MixedMap, new DriverMemory(host.Kernel, page));
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages, Is.Zero);
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EREMOTEIO));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.PciP2pDma | FollFlags.FastOnly).Result.Pages, Is.EqualTo(1));
        }
    }

    [Test]
    public void Protection_keys_bind_the_process_and_not_those_who_come_from_outside()
    {
        using HostCase host = Mapped();
        host.Process.Protect(HostCase.Page(0), 1, Rw, key: 3).Run();
        host.Process.Pkru = 2u << 6;
        bool readable = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages == 1;
        GupResult write = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Write).Result;
        VmFault touch = host.Touch(HostCase.Page(0));
        host.Process.Pkru = 1u << 6;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(readable, "write-disabled can be read");
            Assert.That(write.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(touch, Is.EqualTo(VmFault.SigSegv));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages, Is.Zero);
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Remote).Result.Pages, Is.EqualTo(1));
        }
    }

    [Test]
    public void A_NUMA_hint_is_faulted_by_those_who_honor_it_and_passed_by_the_others()
    {
        using HostCase host = Mapped();
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Process.HintNuma(HostCase.Page(0), 1).Run();
        HostPte hinted = host.Process.Tables.Find(HostCase.Page(0), out _);

        GupOperation passing = host.Gup(HostCase.Page(0), FollFlags.Get | Slow);
        HostPte after = host.Process.Tables.Find(HostCase.Page(0), out _);
        bool fast = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages == 1;
        GupOperation honoring = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.HonorNumaFault | Slow);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(hinted.IsPresent, Is.False);
            Assert.That(hinted.IsWithoutRights);
            Assert.That(passing.Frames[0], Is.EqualTo(page));
            Assert.That(after, Is.EqualTo(hinted), "nobody noticed");
            Assert.That(fast, Is.False);
            Assert.That(honoring.Frames[0], Is.EqualTo(page));
            Assert.That(host.Process.NumaHintFaults, Is.EqualTo(1));
            Assert.That(host.Process.Tables.Find(HostCase.Page(0), out _).IsWritable, "it is the process's own: writable at once");
        }
    }

    [Test]
    public void A_NUMA_hint_zaps_the_guest_and_its_next_fault_clears_it()
    {
        using VmCase vm = new();
        vm.Fault(2);
        vm.Host.Process.HintNuma(HostCase.Page(2), 1).Run();
        bool zapped = vm.Installed(2) is null;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(zapped);
            Assert.That(vm.Fault(2), Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Host.Process.NumaHintFaults, Is.EqualTo(1));
        }
    }

    [Test]
    public void With_Unlockable_a_wait_drops_the_callers_lock_and_without_it_keeps_it([Values] bool unlockable)
    {
        using HostCase host = Mapped();
        Pfn page = host.FrameAt(HostCase.Page(0));
        HostPte there = host.Process.Tables.Find(HostCase.Page(0), out _);
        host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Migration(page, there, exclusive: true));
        host.Process.MmapLock.TryAcquire(shared: true);
        GupOperation gup = new(host.Process, HostCase.Page(0), 1, FollFlags.Get | (unlockable ? FollFlags.Unlockable : 0), locked: true);
        Actor caller = new("caller", gup);
        while (caller.IsEnabled)
        {
            caller.Go();
        }

        bool freeWhileWaiting = host.Process.MmapLock.IsFree(shared: false);
        host.Process.Tables.Replace(HostCase.Page(0), 1, there);
        while (!caller.IsDone)
        {
            caller.Go();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(freeWhileWaiting, Is.EqualTo(unlockable));
            Assert.That(gup.Result.Pages, Is.EqualTo(1));
            Assert.That(host.Process.MmapLock.IsFree(shared: false), Is.False, "the caller holds the lock again");
        }
    }

    [Test]
    public void Touch_marks_what_is_got_accessed_and_what_is_to_be_written_dirty([Values] bool write)
    {
        using HostCase host = new();
        MemoryFile file = new(host.Kernel, 1);
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.Shared, file);
        host.Touch(HostCase.Page(0));
        Pfn page = host.FrameAt(HostCase.Page(0));
        host.Process.Tables.Replace(HostCase.Page(0), 1, host.Process.Tables.Find(HostCase.Page(0), out _).Cleaned);
        host.Frames[page].Flags &= ~(FrameFlags.Accessed | FrameFlags.Dirty);

        host.Gup(HostCase.Page(0), FollFlags.Get | Slow | (write ? FollFlags.Write : 0));

        Assert.That(host.Frames[page].Has(FrameFlags.Accessed));
        Assert.That(host.Frames[page].Has(FrameFlags.Dirty), Is.EqualTo(write));
    }

    [Test]
    public void A_signal_ends_a_wait_only_where_that_was_allowed([Values] bool interruptible, [Values] bool fatal)
    {
        using HostCase host = Mapped();
        HostPte there = host.Process.Tables.Find(HostCase.Page(0), out _);
        host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Migration(there.Frame, there, exclusive: true));
        GupOperation gup = new(host.Process, HostCase.Page(0), 1, FollFlags.Get | (interruptible ? FollFlags.Interruptible : Slow));
        Actor caller = new("caller", gup);
        while (caller.IsEnabled)
        {
            caller.Go();
        }

        host.Process.SignalPending = true;
        host.Process.FatalSignalPending = fatal;
        while (caller.IsEnabled)
        {
            caller.Go();
        }

        bool ended = caller.IsDone;
        Assert.That(ended, Is.EqualTo(interruptible || fatal));
        Assert.That(gup.Result.Error, Is.EqualTo(ended ? Errno.EINTR : Errno.None));
        Assert.That(host.Process.MmapLock.IsFree(shared: false), "nobody waits with the lock");
    }

    private static HostCase Mapped(ulong pages = 1, ulong movable = 0)
    {
        HostCase host = new(movable: movable);
        host.Process.MapAt(HostCase.Base, pages, Rw);
        host.Touch(HostCase.Page(0));
        return host;
    }
}
