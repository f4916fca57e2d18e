using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 41 and 42 of the host-memory table: mappings and memory at kernel addresses that one process alone has.</summary>
[TestFixture]
public sealed class LocalMappingRows
{
    private const GuestAccessStatus Success = GuestAccessStatus.Success;

    [Test]
    public void Row41_One_flush_for_each_wrap_and_of_one_processor_only()
    {
        using PathCase guest = PathCase.File(directMap: false);
        MmLocalPath path = MmLocalPath.For(guest.Vm, slots: 8);
        for (int i = 0; i < 100; i++)
        {
            path.Write(VmCase.Gpa(i % 4), [(byte)i]);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((path.Ledger.WindowMaps, path.Ledger.Flushes, path.Region.WrapsOf(0), path.Region.WrapsOf(1)), Is.EqualTo((100, 12, 12, 0)));
            Assert.That(path.Ledger.InterruptedProcessors + path.Ledger.Restores + guest.Map.ExposedFrames, Is.Zero);
            Assert.That(guest.Map.AbsentFrames, Is.EqualTo(4), "the direct map never shows the memory");
        }
    }

    [TestCase(InjectedFaults.None, true)]
    [TestCase(InjectedFaults.ReuseWindowBeforeFlush, false)]
    public void Row41_A_slot_shows_its_new_page_because_of_the_flush_before(InjectedFaults faults, bool right)
    {
        using PathCase guest = PathCase.File(directMap: false, faults);
        UserspacePath truth = new(guest.Vm);
        for (int page = 0; page < 4; page++)
        {
            truth.Write(VmCase.Gpa(page), [(byte)(page + 1)]);
        }

        MmLocalPath path = MmLocalPath.For(guest.Vm, slots: 3);
        byte[] read = new byte[8];
        for (int i = 0; i < read.Length; i++)
        {
            path.Read(VmCase.Gpa(i % 4), read.AsSpan(i, 1));
        }

        Assert.That(read, right ? Is.EqualTo(new byte[] { 1, 2, 3, 4, 1, 2, 3, 4 }) : Is.Not.EqualTo(new byte[] { 1, 2, 3, 4, 1, 2, 3, 4 }));
    }

    [Test]
    public void Row41_A_stale_slot_is_reached_until_the_flush_and_not_at_its_next_use()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        MmLocalPath path = MmLocalPath.For(guest.Vm, slots: 2);
        KernelWindow window = path.Region.WindowOf(0);
        path.Write(VmCase.Gpa(0), [1]);
        bool stale = window.TryTranslate(path.Processor, 0, out Pfn old);
        GuestMemory.HostProcessor second = new(guest.Kernel, 1);
        second.Run(guest.Host.Process);
        bool elsewhere = window.TryTranslate(second, 0, out _);
        path.Write(VmCase.Gpa(1), [1]);
        path.Write(VmCase.Gpa(1), [1]);
        path.Write(VmCase.Gpa(2), [1]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((stale, old), Is.EqualTo((true, file.Cached(0)!.Value)), "cached by the processor that used it");
            Assert.That(elsewhere, Is.False, "and by no other");
            Assert.That(path.Region.WrapsOf(0), Is.EqualTo(1));
            Assert.That(window.TryTranslate(path.Processor, 0, out Pfn next) && next != old, "its next page, or nothing, after the wrap");
        }
    }

    [Test]
    public void Row41_Another_process_cannot_see_the_window()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        AddressSpace other = new(guest.Kernel, "other");
        AddressSpace child = guest.Host.Process.Fork("child").Run();
        MmLocalPath path = MmLocalPath.For(guest.Vm);
        path.Write(new Gpa(0), [1]);
        Pfn frame = file.Cached(0)!.Value;
        byte[] read = new byte[1];
        Actor access = new("vcpu0", path.ReadSteps(new Gpa(0), read));
        while (!access.Next.Name.EndsWith("copy", StringComparison.Ordinal))
        {
            access.Go();
        }

        KernelWindow window = path.Region.WindowOf(0);
        bool own = window.TryTranslate(path.Processor, 1, out Pfn shown);
        List<bool> seen = [];
        foreach (AddressSpace? process in new[] { other, child, null })
        {
            GuestMemory.HostProcessor processor = new(guest.Kernel, 1);
            processor.Run(process);
            seen.Add(window.TryTranslate(processor, 1, out _));
            path.Processor.Run(process);
            seen.Add(window.TryTranslate(path.Processor, 1, out _));
        }

        bool inTables = other.Tables.LookupPfn(window.Start, out _, out _, out _) || child.Tables.LookupPfn(window.Start + 0x1000, out _, out _, out _);
        path.Processor.Run(guest.Host.Process);
        while (access.IsEnabled)
        {
            access.Go();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((own, shown), Is.EqualTo((true, frame)));
            Assert.That(seen, Has.None.True);
            Assert.That(inTables, Is.False);
            Assert.That((access.IsDone, read[0]), Is.EqualTo((true, 1)));
        }
    }

    [Test]
    public void Row41_Slots_that_are_in_use_are_passed_over_and_when_all_are_the_answer_is_EBUSY()
    {
        using PathCase guest = PathCase.File(directMap: false);
        MmLocalPath path = MmLocalPath.For(guest.Vm, slots: 2);
        path.Write(new Gpa(0), new byte[4096]);
        (long, long, long, ulong) before = guest.Counters();
        Actor one = new("one", path.ReadSteps(new Gpa(0), new byte[1]));
        Actor two = new("two", path.ReadSteps(new Gpa(8), new byte[1]));
        foreach (Actor actor in new[] { one, two })
        {
            while (!actor.Next.Name.EndsWith("copy", StringComparison.Ordinal))
            {
                actor.Go();
            }
        }

        GuestAccessStatus third = path.Read(new Gpa(16), new byte[1]);
        Errno error = path.LastError;
        foreach (Actor actor in new[] { one, two })
        {
            while (actor.IsEnabled)
            {
                actor.Go();
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((third, error), Is.EqualTo((GuestAccessStatus.Fault, Errno.EBUSY)));
            Assert.That(path.Read(new Gpa(16), new byte[1]), Is.EqualTo(Success));
            Assert.That(guest.Counters(), Is.EqualTo(before));
        }
    }

    [Test]
    public void Row41_A_range_of_more_pages_than_slots_is_read_in_turns()
    {
        using PathCase guest = PathCase.File(directMap: false, pages: 40);
        byte[] bytes = [.. Enumerable.Range(0, 40 << 12).Select(i => (byte)(i % 251))];
        MmLocalPath path = MmLocalPath.For(guest.Vm, slots: 16);
        GuestAccessStatus write = path.Write(new Gpa(0), bytes);
        byte[] read = new byte[bytes.Length - 7];
        GuestAccessStatus status = path.Read(new Gpa(7), read);

        Assert.That((write, status, read.AsSpan().SequenceEqual(bytes.AsSpan(7))), Is.EqualTo((Success, Success, true)));
    }

    [Test]
    public void Row42_An_allocation_is_out_of_the_direct_map_and_dies_with_its_process()
    {
        using PathCase guest = new();
        ulong free = guest.Kernel.Allocator.FreeFrames;
        AddressSpace mm = new(guest.Kernel, "owner");
        GuestMemory.HostProcessor inside = new(guest.Kernel, 0);
        GuestMemory.HostProcessor outside = new(guest.Kernel, 1);
        inside.Run(mm);
        outside.Run(guest.Host.Process);
        Errno made = ProcLocalMemory.TryAllocate(new MmLocalRegion(mm), 2, out ProcLocalMemory? memory);
        Errno written = memory!.Write(inside, 0xffe, [1, 2, 3, 4]);
        byte[] read = new byte[4];
        Errno readBack = memory.Read(inside, 0xffe, read);
        Errno seen = memory.Read(outside, 0xffe, new byte[4]);
        Errno beyond = memory.Read(inside, 0x1fff, new byte[2]);
        long absent = guest.Map.AbsentFrames;
        mm.Exit().Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((made, written, readBack, seen, beyond), Is.EqualTo((Errno.None, Errno.None, Errno.None, Errno.EFAULT, Errno.EFAULT)));
            Assert.That(read, Is.EqualTo(new byte[] { 1, 2, 3, 4 }));
            Assert.That((absent, guest.Map.AbsentFrames, guest.Map.UnflushedFrames), Is.EqualTo((2, 0, 0)));
            Assert.That((memory.IsAlive, memory.Read(inside, 0, new byte[1])), Is.EqualTo((false, Errno.EFAULT)));
            Assert.That(guest.Kernel.Allocator.FreeFrames, Is.EqualTo(free));
            Assert.That(guest.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row42_An_allocation_that_fails_anywhere_leaves_nothing_behind()
    {
        for (int after = 0; after < 8; after++)
        {
            using PathCase guest = new();
            MmLocalRegion region = new(guest.Host.Process);
            ulong before = guest.Kernel.Allocator.FreeFrames;
            guest.Kernel.Allocator.FailAfter = after;
            Errno error = ProcLocalMemory.TryAllocate(region, 4, out ProcLocalMemory? memory);
            memory?.Dispose();

            // Tables stay until the process ends, as those of any range.
            ulong tables = (ulong)guest.Host.Process.Tables.Tables;
            Assert.That((error, before - guest.Kernel.Allocator.FreeFrames, guest.Map.AbsentFrames), Is.EqualTo((after < 7 ? Errno.ENOMEM : Errno.None, tables, 0)), $"after {after}");
        }
    }

    [TestCase("truncate")]
    [TestCase("punch")]
    [TestCase("convert")]
    [TestCase("exit")]
    public void Row42_A_mapping_dies_with_what_it_shows(string how)
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        MemoryFile plain = new(guest.Kernel, 4);
        MemoryFile shown = how == "truncate" ? plain : file;
        GuestMemory.HostProcessor processor = new(guest.Kernel, 0);
        processor.Run(guest.Host.Process);
        Errno made = ProcLocalMemory.TryMap(new MmLocalRegion(guest.Host.Process), shown, 0, 2, out ProcLocalMemory? mapping);
        mapping!.Write(processor, 0x1000, [9]);
        Pfn frame = shown.Cached(1)!.Value;
        (byte written, int references, int maps) = (guest.Kernel.Frames.Bytes(frame)[0], guest.Kernel.Frames[frame].RefCount, guest.Kernel.Frames[frame].MapCount);
        switch (how)
        {
            case "truncate":
                plain.Truncate(1).Run();
                break;
            case "punch":
                file.PunchHole(0x1000, 0x1000, keepSize: true, out HostOperation? punch);
                punch!.Run();
                break;
            case "convert":
                Assert.That(file.Convert(1, 1, toPrivate: true).Run(), Is.EqualTo(Errno.None), "the mapping's own reference does not stand in the way");
                break;
            default:
                guest.Host.Process.Exit().Run();
                break;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((made, written, references, maps), Is.EqualTo((Errno.None, 9, 2, 1)));
            Assert.That(mapping.Read(processor, 0x1000, new byte[1]), Is.EqualTo(Errno.EFAULT));
            Assert.That(mapping.Read(processor, 0xfff, new byte[2]), Is.EqualTo(Errno.EFAULT), "whole or nothing");
            Assert.That(mapping.IsAlive, Is.EqualTo(how != "exit"));
            Assert.That(mapping.Read(processor, 0, new byte[1]), Is.EqualTo(how == "exit" ? Errno.EFAULT : Errno.None), "the other page stays");
            Assert.That(guest.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void Row42_A_private_page_or_one_beyond_the_end_cannot_be_mapped()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        file.Convert(2, 1, toPrivate: true).Run();
        MmLocalRegion region = new(guest.Host.Process);
        (long, long, long, ulong) before = guest.Counters();

        Errno isPrivate = ProcLocalMemory.TryMap(region, file, 2, 1, out _);
        Errno beyond = ProcLocalMemory.TryMap(region, file, 4, 1, out ProcLocalMemory? none);
        (long, long, long, ulong) after = guest.Counters();

        Assert.That((isPrivate, beyond, none, after), Is.EqualTo((Errno.EFAULT, Errno.EFAULT, (ProcLocalMemory?)null, before)));
    }
}
