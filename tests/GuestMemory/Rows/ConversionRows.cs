using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 30, 31, 35, 36 and 47 of the host-memory table: conversions, large folios, and the end of pages and files.</summary>
[TestFixture]
public sealed class ConversionRows
{
    private const GuestMemfdFlags Shared = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared;
    private const VmFlags RwShared = VmCase.Rw | VmFlags.Shared;

    [Test]
    public void Row31_A_host_fault_waits_for_a_conversion_and_finds_the_page_private()
    {
        bool waited = false;
        StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            GuestMemfd file = Make(host, Shared, 1);
            file.Map(host.Process, new Hva(HostCase.Base), 1, RwShared);
            host.Touch(HostCase.Page(0));
            HostOperation<VmFault> touch = host.Process.Fault(HostCase.Page(0), write: true);
            GuestMemfd.ConvertOperation convert = file.Convert(0, 1, toPrivate: true);
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    waited |= touch.Result == VmFault.SigBus;
                    return convert.Result != Errno.None ? $"the conversion met the fault: {convert.Result}"
                        : host.Process.Tables.LookupPfn(HostCase.Page(0), out _, out _, out _) ? "a private page is mapped" : null;
                },
            }.With("touch", touch).With("convert", convert);
        });

        Assert.That(waited);
    }

    [TestCase(0ul, 0ul)]
    [TestCase(4ul, 1ul)]
    [TestCase(5ul, ulong.MaxValue)]
    public void Row31_A_conversion_of_no_pages_or_beyond_the_end_is_EINVAL(ulong first, ulong count)
    {
        using HostCase host = new();

        Assert.That(Make(host, Shared, 4).Convert(first, count, toPrivate: true).Run(), Is.EqualTo(Errno.EINVAL));
    }

    [Test]
    public void Row35_A_conversion_of_a_part_splits_a_folio_and_the_way_back_joins_it()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 512, order: 9);
        ulong free = host.Kernel.Allocator.FreeFrames;
        file.Allocate(0, 512 << 12, keepSize: true);
        Pfn head = file.Cached(0)!.Value;
        host.Frames.Bytes(new Pfn(head.Value + 3))[0] = 0x33;

        Errno shared = file.Convert(3, 2, toPrivate: false).Run();
        int[] counts = [.. Enumerable.Range(0, 512).Select(page => host.Frames[new Pfn(head.Value + (ulong)page)].RefCount).Distinct()];
        bool[] marks = [.. Enumerable.Range(2, 4).Select(page => host.Frames[new Pfn(head.Value + (ulong)page)].Has(FrameFlags.Private))];
        Errno back = file.Convert(3, 2, toPrivate: true).Run();
        PageFrame folio = host.Frames[head];
        file.Release().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((shared, back), Is.EqualTo((Errno.None, Errno.None)));
            Assert.That(counts, Is.EqualTo(new[] { 1 }));
            Assert.That(marks, Is.EqualTo(new[] { true, false, false, true }));
            Assert.That((folio.RefCount, folio.MapCount, folio.PinCount, folio.Order), Is.EqualTo((512, 0, 0, 9)));
            Assert.That(folio.Has(FrameFlags.Head | FrameFlags.Private));
            Assert.That(host.Frames.Bytes(new Pfn(head.Value + 3))[0], Is.EqualTo(0x33), "in place");
            Assert.That(host.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row35_A_folio_that_somebody_holds_is_not_split_and_nothing_changes()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 512, order: 9);
        file.Map(host.Process, new Hva(HostCase.Base), 512, RwShared);
        host.Touch(HostCase.Page(9));
        GupOperation held = host.Gup(HostCase.Page(9), FollFlags.Get);
        Pfn head = file.Cached(0)!.Value;

        GuestMemfd.ConvertOperation convert = file.Convert(3, 1, toPrivate: true);
        Errno blocked = convert.Run();
        int order = host.Frames[head].Order;
        host.Kernel.Folios.Put(held.Frames[0]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((blocked, convert.BlockedAt), Is.EqualTo((Errno.EAGAIN, 3UL)));
            Assert.That((order, file.IsPrivate(3)), Is.EqualTo((9, false)));
            Assert.That(file.Convert(3, 1, toPrivate: true).Run(), Is.EqualTo(Errno.None));
            Assert.That(host.Frames[head].Order, Is.Zero);
        }
    }

    [TestCase(InjectedFaults.None, null)]
    [TestCase(InjectedFaults.LargePagesBesideConversion, "a shared frame is translated as private")]
    public void Row35_A_fault_beside_a_change_of_attributes_makes_no_large_translation_of_frames_that_differ(InjectedFaults faults, string? problem)
    {
        string? found = null;
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                HostCase host = new(faults: faults, frames: 1024);
                Kvm vm = Bind(host, Make(host, GuestMemfdFlags.None, 512, order: 9));
                vm.SetAttributes(new Gfn(0), 512, isPrivate: true).Run();
                return new Scenario
                {
                    World = host,
                    AtEnd = () => vm.StageTwo.TryFind(new Gfn(3), out StageTwoEntry entry, out _) && entry.Private ? "a shared frame is translated as private" : null,
                }.With("vcpu0", new StageTwoFault(vm, new Gpa(0), write: true, asPrivate: true)).With("vmm", vm.SetAttributes(new Gfn(3), 1, isPrivate: false));
            });
        }
        catch (InterleavingException e)
        {
            found = e.Problem;
        }

        Assert.That(found, Is.EqualTo(problem));
    }

    [Test]
    public void Row35_A_fault_beside_a_conversion_of_a_part_of_its_folio_leaves_no_large_translation()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 1024);
            GuestMemfd file = Make(host, GuestMemfdFlags.None, 512, order: 9);
            Kvm vm = Bind(host, file);
            vm.SetAttributes(new Gfn(0), 512, isPrivate: true).Run();
            file.Allocate(0, 1 << 12, keepSize: true);
            GuestMemfd.ConvertOperation convert = file.Convert(3, 1, toPrivate: false);
            return new Scenario
            {
                World = host,
                AtEnd = () => convert.Result == Errno.None && vm.StageTwo.Entries.Any(one => one.Entry.Level > 1) ? "a translation is larger than the folio" : null,
            }.With("vcpu0", new StageTwoFault(vm, new Gpa(0), write: true, asPrivate: true)).With("vmm", convert);
        });

        Assert.That(orders, Is.GreaterThan(5));
    }

    [Test]
    public void Row35_A_page_of_the_file_does_not_migrate_since_no_notifier_would_tell_the_guest()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 1);
        file.Allocate(0, 1 << 12, keepSize: true);
        Pfn frame = file.Cached(0)!.Value;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(new MigrateOperation(host.Kernel, frame).Run(), Is.EqualTo(Errno.EBUSY));
            Assert.That(file.Cached(0), Is.EqualTo(frame));
            Assert.That(host.Frames[frame].RefCount, Is.EqualTo(1));
        }
    }

    [Test]
    public void Row36_Each_failure_has_its_error_and_its_record()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 4);
        using Kvm vm = Bind(host, file);
        vm.SetAttributes(new Gfn(0), 8, isPrivate: true).Run();
        vm.Slots.Add(new Gpa(4 << 12), 1 << 12, new Hva(HostCase.Base * 4));
        file.Allocate(0, 4 << 12, keepSize: true);
        host.Frames[file.Cached(1)!.Value].Flags |= FrameFlags.HwPoison;
        StageTwoFault lost = Fault(vm, 1);
        StageTwoFault without = Fault(vm, 4);
        StageTwoFault nowhere = Fault(vm, 7);
        Errno released = file.Release().Run();
        StageTwoFault gone = Fault(vm, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((lost.Error, lost.MemoryFault), Is.EqualTo((Errno.EHWPOISON, Record(1))));
            Assert.That((without.Error, without.MemoryFault), Is.EqualTo((Errno.EFAULT, Record(4))));
            Assert.That((nowhere.Error, nowhere.MemoryFault), Is.EqualTo((Errno.EFAULT, Record(7))));
            Assert.That(released, Is.EqualTo(Errno.None));
            Assert.That((gone.Error, gone.MemoryFault), Is.EqualTo((Errno.EFAULT, Record(0))));
        }

        static StageTwoFault Fault(Kvm vm, int page)
        {
            StageTwoFault fault = new(vm, VmCase.Gpa(page), write: true, asPrivate: true);
            fault.Run();
            return fault;
        }

        static MemoryFaultRecord? Record(int page) => new MemoryFaultRecord(VmCase.Gpa(page), 0x1000, IsPrivate: true);
    }

    [Test]
    public void Row36_A_file_released_beside_a_fault_is_EFAULT_or_a_stale_binding_EIO_and_no_translation_stays()
    {
        HashSet<Errno> errors = [];
        StepScheduler.ExploreAll(() =>
        {
            HostCase host = new(frames: 128);
            GuestMemfd file = Make(host, GuestMemfdFlags.None, 1);
            Kvm vm = Bind(host, file);
            vm.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
            StageTwoFault fault = new(vm, new Gpa(0), write: true, asPrivate: true);
            return new Scenario
            {
                World = host,
                AtEnd = () =>
                {
                    errors.Add(fault.Error);
                    return vm.StageTwo.Count != 0 ? "the guest keeps a page of a file that is gone" : null;
                },
            }.With("vcpu0", fault).With("vmm", file.Release());
        });

        Assert.That(errors, Is.EquivalentTo(new[] { Errno.None, Errno.EFAULT, Errno.EIO }));
    }

    [Test]
    public void Row36_A_file_that_a_process_maps_lives_on()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 1);
        file.Map(host.Process, new Hva(HostCase.Base), 1, RwShared);
        Errno mapped = file.Release().Run();
        host.Process.Unmap(HostCase.Page(0), 1).Run();

        Assert.That((mapped, file.Release().Run()), Is.EqualTo((Errno.EBUSY, Errno.None)));
    }

    [TestCase(0ul, 0x2000ul, true, Errno.None)]
    [TestCase(0ul, 0x2000ul, false, Errno.EOPNOTSUPP)]
    [TestCase(0x800ul, 0x1000ul, true, Errno.EINVAL)]
    [TestCase(0ul, 0ul, true, Errno.EINVAL)]
    [TestCase(0x3000ul, 0x2000ul, true, Errno.EINVAL)]
    public void Row36_Fallocate_makes_pages_ahead(ulong offset, ulong length, bool keepSize, Errno error)
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, GuestMemfdFlags.None, 4);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(file.Allocate(offset, length, keepSize), Is.EqualTo(error));
            Assert.That(file.Cached(1) is not null, Is.EqualTo(error == Errno.None));
        }
    }

    [Test]
    public void Row36_What_a_guest_begins_with_goes_into_private_pages_that_it_has_not_seen([Values] bool noDirectMap)
    {
        using HostCase host = new(KernelBehavior.Proposed);
        GuestMemfd file = Make(host, noDirectMap ? GuestMemfdFlags.NoDirectMap : GuestMemfdFlags.None, 4);
        using Kvm vm = Bind(host, file);
        byte[] content = new byte[0x1000];
        content[0] = 0x90;
        Errno shared = GuestMemfd.Populate(vm, new Gfn(0), content).Run();
        vm.SetAttributes(new Gfn(0), 4, isPrivate: true).Run();
        Errno first = GuestMemfd.Populate(vm, new Gfn(0), content).Run();
        VcpuRun read = vm.AddVcpu().Run(GuestAccess.Read(new Gpa(0), asPrivate: true));
        read.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((shared, first), Is.EqualTo((Errno.EINVAL, Errno.None)));
            Assert.That(read.Values, Is.EqualTo(new ulong[] { 0x90 }));
            Assert.That(GuestMemfd.Populate(vm, new Gfn(0), content).Run(), Is.EqualTo(Errno.EEXIST));
            Assert.That(GuestMemfd.Populate(vm, new Gfn(3), new byte[0x2000]).Run(), Is.EqualTo(Errno.EINVAL), "beyond the slot");
            Assert.That(GuestMemfd.Populate(vm, new Gfn(1), new byte[0x800]).Run(), Is.EqualTo(Errno.EINVAL), "a part of a page");
            Assert.That(host.Kernel.DirectMap.Shows(file.Cached(0)!.Value), Is.EqualTo(!noDirectMap));
        }
    }

    [Test]
    public void Row47_After_a_hole_every_path_fails_or_reads_zero()
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 2);
        file.Map(host.Process, new Hva(HostCase.Base), 2, RwShared);
        using Kvm vm = Bind(host, file);
        vm.SetAttributes(new Gfn(1), 1, isPrivate: true).Run();
        KvmVcpu vcpu = vm.AddVcpu();
        vcpu.Run(GuestAccess.Write(new Gpa(0), 0xab), GuestAccess.Write(new Gpa(0x1000), 0xcd, asPrivate: true)).Run();
        GfnToPfnCache cache = new(vm);
        cache.Activate(new Gpa(0), 8).Run();
        Pfn[] old = [file.Cached(0)!.Value, file.Cached(1)!.Value];

        file.Punch(0, 2).Run();
        bool check = cache.Check(8);
        byte[] bytes = [0xff];
        Errno read = cache.Read(bytes).Run();
        GupOperation gup = host.Gup(HostCase.Page(0), FollFlags.Get);
        byte direct = host.Frames.Bytes(gup.Frames[0])[0];
        host.Kernel.Folios.Put(gup.Frames[0]);
        VcpuRun guest = vcpu.Run(GuestAccess.Read(new Gpa(0)), GuestAccess.Read(new Gpa(0x1000), asPrivate: true));
        guest.Run();
        Errno resized = ((HostOperation<Errno>)file.Truncate(1)).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((check, read, bytes[0], direct), Is.EqualTo((false, Errno.None, (byte)0, (byte)0)));
            Assert.That(guest.Values, Is.EqualTo(new ulong[] { 0, 0 }));
            Assert.That(old.All(frame => host.Frames.Bytes(frame)[0] == 0), "old frames were cleared before their next owner, which is the file again");
            Assert.That((resized, file.Size), Is.EqualTo((Errno.EINVAL, 2UL)));
        }
    }

    [Test]
    public void Row47_A_hole_in_a_large_folio_gives_its_pages_back_or_clears_them([Values] bool held)
    {
        using HostCase host = new();
        GuestMemfd file = Make(host, Shared, 512, order: 9);
        file.Map(host.Process, new Hva(HostCase.Base), 512, RwShared);
        host.Touch(HostCase.Page(9));
        Pfn head = file.Cached(0)!.Value;
        host.Frames.Bytes(new Pfn(head.Value + 3)).Fill(0x77);
        if (!held)
        {
            host.Process.Discard(HostCase.Page(9), 1).Run();
        }

        ulong free = host.Kernel.Allocator.FreeFrames;
        file.Punch(3, 2).Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Kernel.Allocator.FreeFrames - free, Is.EqualTo(held ? 0 : 2));
            Assert.That(file.Cached(3) is null, Is.EqualTo(!held));
            Assert.That(host.Touch(HostCase.Page(3)), Is.EqualTo(VmFault.NoPage));
            Assert.That(host.Frames.Bytes(file.Cached(3)!.Value).ContainsAnyExcept((byte)0), Is.False);
            Assert.That(host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row47_A_hole_beside_a_vcpu_leaves_it_no_old_page_in_any_order([Values(InjectedFaults.None, InjectedFaults.SkipStageTwoFlush)] InjectedFaults faults)
    {
        string? found = null;
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                HostCase host = new(faults: faults, frames: 128);
                GuestMemfd file = Make(host, GuestMemfdFlags.None, 1);
                Kvm vm = Bind(host, file);
                vm.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
                KvmVcpu vcpu = vm.AddVcpu();
                return new Scenario
                {
                    World = host,
                    Always = () => vcpu.InGuest && !vcpu.IsKicked && vcpu.Translations.Any(one => file.Cached(0) != one.Frame) ? "the guest keeps a page after the hole" : null,
                }.With("vcpu0", vcpu.Run(GuestAccess.Write(new Gpa(0), 1, asPrivate: true), GuestAccess.Write(new Gpa(8), 2, asPrivate: true))).With("punch", file.Punch(0, 1));
            });
        }
        catch (InterleavingException e)
        {
            found = e.Problem;
        }

        Assert.That(found, Is.EqualTo(faults == InjectedFaults.None ? null : "the guest keeps a page after the hole"));
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
