using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 1 to 13, 15 and 26 to 29 of the host-memory table: from an address of the VMM's to a frame in the second stage.</summary>
[TestFixture]
public sealed class FollowPfnRows
{
    private const VmFlags Driver = VmCase.Rw | VmFlags.PfnMap;

    [Test]
    public void Row01_A_frame_without_references_is_refused_by_6_12_and_mapped_by_6_13()
    {
        using VmCase old = Make(KernelBehavior.V6_12, out Pfn oldFrame);
        using VmCase now = Make(KernelBehavior.V6_13, out Pfn frame);

        StageTwoOutcome before = old.Fault(0);
        StageTwoOutcome after = now.Fault(0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(StageTwoOutcome.Fault));
            Assert.That(old.Frames[oldFrame].RefCount, Is.Zero);
            Assert.That(after, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(now.Installed(0), Is.EqualTo(frame));
            Assert.That(now.Frames[frame].RefCount, Is.Zero);
        }

        static VmCase Make(KernelBehavior behavior, out Pfn frame)
        {
            Pfn made = default;
            VmCase vm = new(behavior, Driver, kernel => new DriverMemory(kernel, made = DriverMemory.Allocate(kernel)), pages: 1);
            frame = made;
            return vm;
        }
    }

    [Test]
    public void Row02_The_tail_of_a_non_compound_block_sees_no_get_and_no_put()
    {
        Pfn head = default;
        using VmCase vm = new(KernelBehavior.V6_13, Driver, kernel =>
        {
            head = DriverMemory.Allocate(kernel, order: 2, refcountOfFirst: 1);
            return new DriverMemory(kernel, [.. Enumerable.Range(0, 4).Select(i => new Pfn(head.Value + (ulong)i))]);
        }, pages: 4);
        ulong free = vm.Kernel.Allocator.FreeFrames;
        long gets = vm.Kernel.Folios.Gets;
        long puts = vm.Kernel.Folios.Puts;

        StageTwoOutcome tail = vm.Fault(3);
        Pfn? installed = vm.Installed(3);
        vm.Host.Process.Unmap(HostCase.Page(0), 4).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(tail, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(installed?.Value, Is.EqualTo(head.Value + 3));
            Assert.That((vm.Frames[head].RefCount, vm.Frames[new Pfn(head.Value + 3)].RefCount), Is.EqualTo((1, 0)));
            Assert.That((vm.Kernel.Folios.Gets - gets, vm.Kernel.Folios.Puts - puts), Is.EqualTo((0, 0)));
            Assert.That(vm.Kernel.Allocator.FreeFrames, Is.LessThanOrEqualTo(free), "nothing of the block was freed");
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [TestCase(VmFlags.PfnMap)]
    [TestCase(VmFlags.Io)]
    public void Row04_Gup_refuses_bare_frame_numbers_and_the_page_tables_answer(VmFlags kind)
    {
        Pfn frame = default;
        using VmCase vm = new(flags: VmCase.Rw | kind, backing: kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)), pages: 1);
        vm.Host.Touch(HostCase.Page(0));

        GupResult gup = vm.Host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.Write).Result;
        PfnResolver resolved = vm.Resolve(0, new FollowPfn(FollFlags.Write));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(gup.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(resolved.Result, Is.EqualTo(PfnResult.Found(frame)));
            Assert.That(resolved.RefcountedPage, Is.Null);
        }
    }

    [Test]
    public void Row05_An_absent_entry_is_faulted_in()
    {
        Pfn frame = default;
        using VmCase vm = new(flags: Driver, backing: kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)), pages: 1);

        Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.Write)).Result, Is.EqualTo(PfnResult.Found(frame)));
    }

    [Test]
    public void Row05_A_fault_that_dropped_the_lock_finds_the_range_again()
    {
        Pfn frame = default;
        DriverMemory driver = null!;
        using VmCase vm = new(flags: Driver, backing: kernel => driver = new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)) { RetryOnce = true }, pages: 1);

        List<string> steps = [];
        PfnResolver resolver = new(vm.Host.Process, HostCase.Page(0), new FollowPfn(FollFlags.None));
        Interleaving taken = StepScheduler.RunRandom(new Scenario().With("vcpu", resolver), 1);
        steps.AddRange(taken.Taken.Select(line => line.Step));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(resolver.Result, Is.EqualTo(PfnResult.Found(frame)));
            Assert.That(steps, Does.Contain("hva_to_pfn_remapped: -EAGAIN, find the range again"));
        }
    }

    [Test]
    public void Row05_A_write_to_a_read_only_entry_is_emulated()
    {
        using VmCase vm = new(flags: Driver, backing: kernel => new DriverMemory(kernel, DriverMemory.Allocate(kernel)) { ReadOnly = true }, pages: 1);
        vm.Host.Touch(HostCase.Page(0), write: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.Write)).Result, Is.EqualTo(PfnResult.ReadOnlyFault));
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Emulate));
            Assert.That(vm.Fault(0, write: false), Is.EqualTo(StageTwoOutcome.Fixed));
        }
    }

    [Test]
    public void Row06_A_large_leaf_of_bare_frame_numbers_gives_the_frame_within_it()
    {
        Pfn first = default;
        using VmCase vm = new(flags: Driver, backing: kernel =>
        {
            first = DriverMemory.Allocate(kernel, order: 9);
            return new DriverMemory(kernel, [.. Enumerable.Range(0, 512).Select(i => new Pfn(first.Value + (ulong)i))]) { Level = 2 };
        }, pages: 512);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Fault(77), Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Installed(77)?.Value, Is.EqualTo(first.Value + 77));
            Assert.That(vm.Vm.StageTwo.TryFind(new Gfn(77), out StageTwoEntry entry, out _) && entry.Level == 2 && entry.Frame == first);
        }
    }

    [Test]
    public void Row08_One_look_up_gives_frame_and_level_and_agrees_with_gup([Range(0, 9)] int seed)
    {
        Random random = new(seed);
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 2048, VmCase.Rw | VmFlags.HugePage);
        host.Process.MapAt(HostCase.Base + (2048ul << 12), 512, VmCase.Rw);
        for (int i = 0; i < 20; i++)
        {
            host.Touch(HostCase.Page(random.Next(2560)));
            host.Process.Discard(HostCase.Page(random.Next(2560)), (ulong)random.Next(1, 4)).Run();
        }

        int present = 0;
        for (int page = 0; page < 2560; page++)
        {
            bool found = host.Process.Tables.LookupPfn(HostCase.Page(page), out Pfn frame, out int level, out _);
            GupOperation gup = host.Gup(HostCase.Page(page), FollFlags.Get | FollFlags.FastOnly);
            Assert.That(gup.Result.Pages == 1, Is.EqualTo(found), $"page {page}");
            if (found)
            {
                present++;
                Assert.That((frame, level), Is.EqualTo((gup.Frames[0], host.Frames.FolioOf(frame).Order == 9 && LargeStill(host, page) ? 2 : 1)));
                host.Kernel.Folios.Put(frame);
            }
        }

        Assert.That(present, Is.Positive);

        static bool LargeStill(HostCase host, int page) => host.Process.Tables.Find(HostCase.Page(page), out _).IsLarge;
    }

    [Test]
    public void Row09_Secret_memory_never_enters_a_guest()
    {
        SecretFile file = null!;
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => file = new SecretFile(kernel, 2), pages: 2);
        vm.Host.Touch(HostCase.Page(0));
        Pfn frame = vm.Host.FrameAt(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages, Is.Zero, "fast");
            Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT), "slow");
            Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.None)).Result, Is.EqualTo(PfnResult.Fault));
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Fault));
            Assert.That(vm.Kernel.DirectMap.Shows(frame), Is.False);
            Assert.That(vm.Frames[frame].RefCount, Is.EqualTo(2));
        }
    }

    [Test]
    public void Row10_After_the_install_no_reference_is_held([Values] bool write)
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(2));
        int baseline = vm.Frames[vm.Host.FrameAt(HostCase.Page(2))].RefCount;

        StageTwoOutcome outcome = vm.Fault(2, write);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcome, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Frames[vm.Host.FrameAt(HostCase.Page(2))].RefCount, Is.EqualTo(baseline));
        }
    }

    [Test]
    public void Row12_A_writable_install_marks_dirty_and_a_zap_leaves_the_flags()
    {
        MemoryFile file = null!;
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => file = new MemoryFile(kernel, 8));
        vm.Host.Touch(HostCase.Page(0));
        Pfn frame = file.Cached(0)!.Value;
        vm.Frames[frame].Flags &= ~(FrameFlags.Dirty | FrameFlags.Accessed);

        vm.Fault(0);
        FrameFlags installed = vm.Frames[frame].Flags & (FrameFlags.Dirty | FrameFlags.Accessed);
        vm.Frames[frame].Flags &= ~(FrameFlags.Dirty | FrameFlags.Accessed);
        vm.Vm.StageTwo.Zap(new Gfn(0), 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(installed, Is.EqualTo(FrameFlags.Dirty | FrameFlags.Accessed));
            Assert.That(vm.Frames[frame].Flags & (FrameFlags.Dirty | FrameFlags.Accessed), Is.EqualTo(FrameFlags.None));
        }
    }

    [Test]
    public void Row13_A_fault_sets_accessed_and_only_aging_clears_it()
    {
        using VmCase vm = new();
        vm.Fault(1);
        MmuNotifier notifier = vm.Host.Process.Registered[0];

        bool after = notifier.TestYoung(HostCase.Page(1), HostCase.Page(2));
        bool cleared = notifier.ClearYoung(HostCase.Page(1), HostCase.Page(2));
        bool then = notifier.TestYoung(HostCase.Page(1), HostCase.Page(2));
        vm.GuestWrite(1, 7);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((after, cleared, then), Is.EqualTo((true, true, false)));
            Assert.That(notifier.TestYoung(HostCase.Page(1), HostCase.Page(2)));
            Assert.That(notifier.TestYoung(HostCase.Page(2), HostCase.Page(8)), Is.False);
        }
    }

    [Test]
    public void Row15_A_zap_works_when_nothing_is_known_of_the_page_any_more()
    {
        Pfn frame = default;
        using VmCase vm = new(flags: Driver, backing: kernel => new DriverMemory(kernel, frame = DriverMemory.Allocate(kernel)), pages: 1);
        vm.Fault(0);
        vm.Frames[frame] = new PageFrame { RefCount = -77, Flags = FrameFlags.HwPoison | FrameFlags.Tail, Index = ulong.MaxValue };

        vm.Host.Process.Unmap(HostCase.Page(0), 1).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Installed(0), Is.Null);
            Assert.That(vm.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row26_Pages_in_a_mixed_map_come_from_gup_without_an_extra_reference()
    {
        Pfn page = default;
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.MixedMap, backing: kernel => new DriverMemory(kernel, page = kernel.Allocator.Allocate()!.Value), pages: 1);
        vm.Host.Touch(HostCase.Page(0));
        int baseline = vm.Frames[page].RefCount;

        PfnResolver resolver = vm.Resolve(0, new FollowPfn(FollFlags.Write));
        int held = vm.Frames[page].RefCount;
        resolver.Release(dirty: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(resolver.Result, Is.EqualTo(PfnResult.Found(page)));
            Assert.That(held, Is.EqualTo(baseline + 1));
            Assert.That(vm.Frames[page].RefCount, Is.EqualTo(baseline));
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(vm.Frames[page].RefCount, Is.EqualTo(baseline));
        }
    }

    [Test]
    public void Row27_A_page_comes_with_every_frame_but_those_of_a_bare_mapping([Values] bool bare, [Values] bool write)
    {
        using VmCase vm = bare
            ? new(flags: Driver, backing: kernel => new DriverMemory(kernel, DriverMemory.Allocate(kernel)), pages: 1)
            : new(pages: 1);

        PfnResolver resolver = vm.Resolve(0, new FollowPfn(write ? FollFlags.Write : FollFlags.None));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(resolver.Result.IsError, Is.False);
            Assert.That(resolver.RefcountedPage is null, Is.EqualTo(bare));
        }
    }

    [Test]
    public void Row28_A_lost_page_is_told_by_one_look_up()
    {
        MemoryFile file = null!;
        using VmCase vm = new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => file = new MemoryFile(kernel, 8));
        vm.Host.Touch(HostCase.Page(0));
        Pfn lost = file.Cached(0)!.Value;
        vm.Host.Process.Discard(HostCase.Page(0), 1).Run();
        vm.Frames[lost].Flags |= FrameFlags.HwPoison;

        PfnResolver resolver = vm.Resolve(0, new FollowPfn(FollFlags.Write));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(resolver.Result, Is.EqualTo(PfnResult.HwPoison));
            Assert.That(resolver.SlowLookups, Is.EqualTo(1));
            Assert.That(vm.Fault(0), Is.EqualTo(StageTwoOutcome.Retry));
            Assert.That(vm.Host.Process.BusErrors, Is.EqualTo(new[] { new BusError(BusErrorCode.ActionRequired, HostCase.Page(0)) }));
            Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT), "without FOLL_HWPOISON");
        }
    }

    [Test]
    public void Row28_An_entry_of_a_lost_page_is_told_as_such_to_those_who_ask()
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Poison(vm.Host.FrameAt(HostCase.Page(0))));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(vm.Host.Touch(HostCase.Page(0)), Is.EqualTo(VmFault.HwPoison));
            Assert.That(vm.Host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.HwPoison).Result.Error, Is.EqualTo(Errno.EHWPOISON));
            Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.None)).Result, Is.EqualTo(PfnResult.HwPoison));
        }
    }

    [Test]
    public void Row29_Every_outcome_of_the_look_up_has_its_code()
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        Pfn frame = vm.Host.FrameAt(HostCase.Page(0));
        vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Migration(frame));
        vm.Host.Process.SignalPending = true;
        PfnResult interrupted = vm.Resolve(0, new FollowPfn(FollFlags.Interruptible)).Result;
        vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Map(frame, writable: true));
        PfnResult goesOn = vm.Resolve(0, new FollowPfn(FollFlags.None)).Result;
        vm.Host.Process.SignalPending = false;
        PfnResult nowhere = vm.Resolve(100, new FollowPfn(FollFlags.None)).Result;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(interrupted, Is.EqualTo(PfnResult.SignalPending));
            Assert.That(goesOn.IsError, Is.False);
            Assert.That(nowhere, Is.EqualTo(PfnResult.Fault));
            Assert.That(vm.Fault(100), Is.EqualTo(StageTwoOutcome.Emulate), "no slot");
        }
    }

    [Test]
    public void Row29_What_would_wait_for_a_migration_says_so_when_told_not_to_wait()
    {
        using VmCase vm = new();
        vm.Host.Touch(HostCase.Page(0));
        Pfn frame = vm.Host.FrameAt(HostCase.Page(0));
        vm.Host.Process.Tables.Replace(HostCase.Page(0), 1, HostPte.Migration(frame));

        Assert.That(vm.Resolve(0, new FollowPfn(FollFlags.NoWait)).Result, Is.EqualTo(PfnResult.NeedsIo));
    }
}
