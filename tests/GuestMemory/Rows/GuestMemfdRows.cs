using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 30 to 33, 35, 36 and 47 of the host-memory table: memory that belongs to the guest.</summary>
[TestFixture]
public sealed class GuestMemfdRows
{
    private const GuestMemfdFlags Shared = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared;
    private const VmFlags RwShared = VmCase.Rw | VmFlags.Shared;

    [TestCase(0ul, GuestMemfdFlags.None, Errno.EINVAL)]
    [TestCase(0x1800ul, GuestMemfdFlags.None, Errno.EINVAL)]
    [TestCase(0x1000ul, (GuestMemfdFlags)0x80, Errno.EINVAL)]
    [TestCase(0x1000ul, GuestMemfdFlags.NoDirectMap, Errno.EINVAL)]
    [TestCase(0x1000ul, Shared, Errno.None)]
    public void Row30_A_file_is_made_of_whole_pages_and_known_flags(ulong bytes, GuestMemfdFlags flags, Errno error)
    {
        using HostCase host = new();

        Assert.That(GuestMemfd.Create(host.Kernel, bytes, flags, out _), Is.EqualTo(error));
    }

    [Test]
    public void Row30_A_shared_page_is_reached_by_the_host_and_a_private_one_is_SIGBUS()
    {
        using HostCase host = new(KernelBehavior.Proposed);
        GuestMemfd file = Make(host, Shared, 4);
        GuestMemfd hidden = Make(host, GuestMemfdFlags.None, 4);
        file.Map(host.Process, new Hva(HostCase.Base), 4, RwShared);
        VmFault touch = host.Touch(HostCase.Page(0));
        GupResult gup = host.Gup(HostCase.Page(0), FollFlags.Get).Result;
        host.Kernel.Folios.Put(host.FrameAt(HostCase.Page(0)));
        Errno convert = file.Convert(0, 1, toPrivate: true).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(touch, Is.EqualTo(VmFault.NoPage));
            Assert.That(gup.Pages, Is.EqualTo(1));
            Assert.That(convert, Is.EqualTo(Errno.None));
            Assert.That(host.Touch(HostCase.Page(0)), Is.EqualTo(VmFault.SigBus));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(hidden.Map(host.Process, new Hva(HostCase.Base * 2), 4, RwShared), Is.EqualTo(Errno.ENODEV));
            Assert.That(file.Map(host.Process, new Hva(HostCase.Base * 2), 4, VmCase.Rw), Is.EqualTo(Errno.EINVAL));
        }
    }

    [Test]
    public void Row30_A_guest_that_means_the_other_kind_leaves_with_a_memory_fault()
    {
        using HostCase host = new();
        using Kvm vm = Bind(host, Make(host, Shared, 4));

        StageTwoOutcome privateWhereShared = new StageTwoFault(vm, VmCase.Gpa(0), write: true, asPrivate: true).Run();
        vm.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
        StageTwoOutcome sharedWherePrivate = new StageTwoFault(vm, VmCase.Gpa(0), write: true).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(privateWhereShared, Is.EqualTo(StageTwoOutcome.MemoryFault));
            Assert.That(sharedWherePrivate, Is.EqualTo(StageTwoOutcome.MemoryFault));
            Assert.That(new StageTwoFault(vm, VmCase.Gpa(0), write: true, asPrivate: true).Run(), Is.EqualTo(StageTwoOutcome.Fixed));
        }
    }

    [Test]
    public void Row31_A_conversion_waits_for_references_of_others()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 4);
        file.Map(host.Process, new Hva(HostCase.Base), 4, RwShared);
        host.Touch(HostCase.Page(1));
        host.Touch(HostCase.Page(2));
        GupOperation held = host.Gup(HostCase.Page(2), FollFlags.Pin | FollFlags.Write);

        GuestMemfd.ConvertOperation blocked = file.Convert(0, 4, toPrivate: true);
        Errno first = blocked.Run();
        bool[] after = [.. Enumerable.Range(0, 4).Select(page => file.IsPrivate((ulong)page))];
        host.Kernel.Folios.Unpin(held.Frames[0]);
        Errno second = file.Convert(0, 4, toPrivate: true).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.EqualTo(Errno.EAGAIN));
            Assert.That(blocked.BlockedAt, Is.EqualTo(2));
            Assert.That(after, Has.None.True, "nothing is converted half");
            Assert.That(second, Is.EqualTo(Errno.None));
            Assert.That(file.IsPrivate(2));
        }
    }

    [Test]
    public void Row31_Conversion_beside_gup_never_leaves_a_private_page_with_a_reference()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            GuestMemfd file = Make(host, Shared, 1);
            file.Map(host.Process, new Hva(HostCase.Base), 1, RwShared);
            host.Touch(HostCase.Page(0));
            Pfn frame = host.FrameAt(HostCase.Page(0));
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    PageFrame folio = host.Frames[frame];
                    return file.IsPrivate(0) && (folio.RefCount != 1 || folio.MapCount != 0) ? $"private with refcount {folio.RefCount} and mapcount {folio.MapCount}" : null;
                },
            }.With("gup", new GupOperation(host.Process, HostCase.Page(0), 1, FollFlags.Get)).With("convert", file.Convert(0, 1, toPrivate: true));
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void Row32_Memory_without_a_direct_map_is_out_of_it_until_it_is_freed()
    {
        using HostCase host = new(KernelBehavior.Proposed);
        GuestMemfd file = Make(host, Shared | GuestMemfdFlags.NoDirectMap, 2);
        file.Map(host.Process, new Hva(HostCase.Base), 2, RwShared);
        host.Touch(HostCase.Page(0));
        Pfn frame = host.FrameAt(HostCase.Page(0));
        host.Frames.Bytes(frame).Fill(0xAB);
        bool shown = host.Kernel.DirectMap.TryAccess(frame);
        GupResult slow = host.Gup(HostCase.Page(0), FollFlags.Get).Result;
        GupResult fast = host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result;

        file.PunchHole(0, 0x1000, keepSize: true, out HostOperation? punch);
        punch!.Run();
        bool again = host.Kernel.DirectMap.Shows(frame);
        Pfn next = host.Kernel.Allocator.Allocate()!.Value;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(shown, Is.False);
            Assert.That(slow.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(fast.Pages, Is.Zero);
            Assert.That(again);
            Assert.That(next, Is.EqualTo(frame), "the test needs the same frame");
            Assert.That(host.Frames.Bytes(next).ContainsAnyExcept((byte)0), Is.False);
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row33_A_forgotten_restore_is_an_oops_of_the_next_owner()
    {
        using HostCase host = new(KernelBehavior.Proposed, InjectedFaults.ForgetDirectMapRestore);
        GuestMemfd file = Make(host, Shared | GuestMemfdFlags.NoDirectMap, 1);
        file.Map(host.Process, new Hva(HostCase.Base), 1, RwShared);
        host.Touch(HostCase.Page(0));
        file.PunchHole(0, 0x1000, keepSize: true, out HostOperation? punch);
        punch!.Run();

        host.Kernel.Allocator.Allocate();

        Assert.That(host.Kernel.Log.Has(KernelEventKind.Oops));
    }

    [Test]
    public void Row35_A_large_private_folio_keeps_its_baseline()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 512, order: 9);
        using Kvm vm = Bind(host, file);
        vm.SetAttributes(new Gfn(0), 512, isPrivate: true).Run();
        for (int page = 0; page < 512; page += 37)
        {
            Assert.That(new StageTwoFault(vm, VmCase.Gpa(page), write: true, asPrivate: true).Run(), Is.EqualTo(StageTwoOutcome.Fixed));
        }

        PageFrame folio = host.Frames.FolioOf(file.Cached(0)!.Value);

        Assert.That((folio.RefCount, folio.MapCount, folio.PinCount, folio.Order), Is.EqualTo((512, 0, 0, 9)));
    }

    [Test]
    public void Row36_The_frame_comes_by_file_and_offset_and_each_failure_has_its_code()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 4);
        using Kvm vm = Bind(host, file);
        vm.SetAttributes(new Gfn(0), 8, isPrivate: true).Run();
        Memslot slot = vm.Slots.All[0];
        StageTwoOutcome good = new StageTwoFault(vm, VmCase.Gpa(1), write: true, asPrivate: true).Run();
        host.Frames[file.Cached(1)!.Value].Flags |= FrameFlags.HwPoison;
        vm.StageTwo.Zap(new Gfn(1), 1);
        StageTwoOutcome lost = new StageTwoFault(vm, VmCase.Gpa(1), write: true, asPrivate: true).Run();
        vm.Slots.Add(new Gpa(4 << 12), 1 << 12, new Hva(HostCase.Base * 4));
        StageTwoOutcome without = new StageTwoFault(vm, VmCase.Gpa(4), write: true, asPrivate: true).Run();
        vm.RemoveSlot(slot.Id);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(good, Is.EqualTo(StageTwoOutcome.Fixed));
            Assert.That(lost, Is.EqualTo(StageTwoOutcome.HwPoison));
            Assert.That(without, Is.EqualTo(StageTwoOutcome.MemoryFault), "a slot without a file");
            Assert.That(file.GetPfn(vm, slot.Id, 0, out _), Is.EqualTo(Errno.EIO), "a slot that is bound no more");
        }
    }

    [TestCase(0ul, 0x1000ul, false, Errno.EOPNOTSUPP, false)]
    [TestCase(0x10ul, 0x1000ul, true, Errno.EINVAL, false)]
    [TestCase(0ul, 0x10ul, true, Errno.EINVAL, false)]
    [TestCase(0x100000ul, 0x1000ul, true, Errno.None, false)]
    [TestCase(0ul, 0x1000ul, true, Errno.None, true)]
    public void Row47_Fallocate_has_its_errors(ulong offset, ulong length, bool keepSize, Errno error, bool works)
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 4);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(file.PunchHole(offset, length, keepSize, out HostOperation? operation), Is.EqualTo(error));
            Assert.That(operation is not null, Is.EqualTo(works));
            Assert.That(GuestMemfd.ChangeSize(), Is.EqualTo(Errno.EINVAL));
            Assert.That(GuestMemfd.ReadOrWrite(), Is.EqualTo(Errno.EINVAL));
        }
    }

    [Test]
    public void Row47_A_hole_takes_the_page_from_guest_and_host_in_every_order()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            GuestMemfd file = Make(host, GuestMemfdFlags.None, 1);
            Kvm vm = Bind(host, file);
            vm.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
            new StageTwoFault(vm, VmCase.Gpa(0), write: true, asPrivate: true).Run();
            Pfn old = file.Cached(0)!.Value;
            file.PunchHole(0, 0x1000, keepSize: true, out HostOperation? punch);
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    bool stale = vm.StageTwo.TryFind(new Gfn(0), out _, out Pfn frame) && file.Cached(0) != frame;
                    return stale ? $"the guest keeps frame {old} after the hole" : null;
                },
            }.With("vcpu", new StageTwoFault(vm, VmCase.Gpa(0), write: true, asPrivate: true)).With("punch", punch!);
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void Overlap_in_guest_physical_space_is_EEXIST_and_in_the_file_EINVAL()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 8);
        using Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), 4 << 12, new Hva(HostCase.Base), file, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => vm.AddGuestMemfdSlot(new Gpa(0x2000), 4 << 12, new Hva(HostCase.Base), file, 4), Throws.TypeOf<MemslotException>().With.Message.Contains("EEXIST").Or.Message.Contains("overlaps"));
            Assert.That(() => vm.AddGuestMemfdSlot(new Gpa(0x10000), 4 << 12, new Hva(HostCase.Base), file, 3), Throws.TypeOf<MemslotException>());
            Assert.That(() => vm.AddGuestMemfdSlot(new Gpa(0x10000), 4 << 12, new Hva(HostCase.Base), file, 4, MemslotFlags.ReadOnly), Throws.TypeOf<MemslotException>());
            Assert.That(vm.AddGuestMemfdSlot(new Gpa(0x10000), 4 << 12, new Hva(HostCase.Base), file, 4), Is.Not.Null);
        }
    }

    private static GuestMemfd Make(HostCase host, GuestMemfdFlags flags, ulong pages, int order = 0)
    {
        Errno error = GuestMemfd.Create(host.Kernel, pages << 12, flags, out GuestMemfd? file, order);
        return file ?? throw new InvalidOperationException(error.ToString());
    }

    private static Kvm Bind(HostCase host, GuestMemfd file)
    {
        Kvm vm = new(host.Process);
        vm.AddGuestMemfdSlot(new Gpa(0), file.Size << 12, new Hva(HostCase.Base), file, 0);
        return vm;
    }
}
