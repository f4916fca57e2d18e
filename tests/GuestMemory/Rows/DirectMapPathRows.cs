using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 32, 33 and 40 of the host-memory table: memory without a direct map, and showing it there for a while.</summary>
[TestFixture]
public sealed class DirectMapPathRows
{
    private const GuestAccessStatus Success = GuestAccessStatus.Success;

    [Test]
    public void Row32_A_frame_leaves_the_direct_map_before_anybody_maps_it()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        VmFault found = file.Get(1, out Pfn frame);
        bool shown = guest.Map.Reaches(frame, 0) || guest.Map.Reaches(frame, 1);
        guest.Kernel.Folios.Put(frame);
        DirectMapPath direct = new(guest.Vm, DirectMapMode.Refuse);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((found, shown), Is.EqualTo((VmFault.Page, false)));
            Assert.That(guest.Kernel.Frames[frame].MapCount, Is.Zero, "nobody maps it yet");
            Assert.That((direct.Read(VmCase.Gpa(1), new byte[1]), direct.LastError), Is.EqualTo((GuestAccessStatus.Fault, Errno.EFAULT)));
            Assert.That(guest.Host.Touch(HostCase.Page(1)), Is.EqualTo(VmFault.NoPage));
            Assert.That(guest.Host.Gup(HostCase.Page(1), FollFlags.Get).Result.Error, Is.EqualTo(Errno.EFAULT));
            Assert.That(guest.Host.Gup(HostCase.Page(1), FollFlags.Get | FollFlags.FastOnly).Result.Pages, Is.Zero);
        }
    }

    [Test]
    public void Row32_No_owner_sees_bytes_of_the_one_before_in_any_history([Range(1, 5)] int seed)
    {
        Random random = new(seed);
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, pages: 16, frames: 128);
        DirectMapPath direct = new(guest.Vm, DirectMapMode.Restore);
        UserspacePath user = new(guest.Vm);
        byte[] secret = [.. Enumerable.Repeat((byte)0x5e, 4096)];
        List<Pfn> others = [];
        long reused = 0;
        HashSet<Pfn> used = [];
        for (int step = 0; step < 2000; step++)
        {
            int page = random.Next(16);
            switch (random.Next(4))
            {
                case 0:
                    Assert.That(((GuestAccessPath)(random.Next(2) == 0 ? direct : user)).Write(VmCase.Gpa(page), secret), Is.EqualTo(Success));
                    used.Add(file.Cached((ulong)page)!.Value);
                    break;
                case 1:
                    file.PunchHole((ulong)page << 12, 0x1000, keepSize: true, out HostOperation? punch);
                    punch!.Run();
                    break;
                case 2 when others.Count < 16 && guest.Kernel.Allocator.Allocate() is Pfn taken:
                    others.Add(taken);
                    reused += used.Contains(taken) ? 1 : 0;
                    Assert.That(guest.Kernel.Frames.Bytes(taken).ContainsAnyExcept((byte)0), Is.False, $"seed {seed}, step {step}");
                    Assert.That(guest.Map.IsAbsent(taken), Is.False, $"seed {seed}, step {step}");
                    break;
                case 3 when others.Count > 0:
                    guest.Kernel.Folios.Put(others[^1]);
                    others.RemoveAt(others.Count - 1);
                    break;
            }

            long cached = Enumerable.Range(0, 16).Count(index => file.Cached((ulong)index) is not null);
            Assert.That((guest.Map.AbsentFrames, guest.Map.UnflushedFrames), Is.EqualTo((cached, 0)), "P8: exactly the file's frames are out");
        }

        Assert.That(reused, Is.GreaterThan(20));
        Assert.That(guest.Kernel.Log.Events, Is.Empty);
    }

    [TestCase(InjectedFaults.None, false)]
    [TestCase(InjectedFaults.ForgetDirectMapRestore, true)]
    public void Row33_A_forgotten_restore_is_an_oops_when_the_next_owner_is_given_zeros(InjectedFaults faults, bool oops)
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, faults);
        DirectMapPath direct = new(guest.Vm, DirectMapMode.Restore);
        direct.Write(new Gpa(0), [0x5e]);
        Pfn frame = file.Cached(0)!.Value;
        file.PunchHole(0, 0x1000, keepSize: true, out HostOperation? punch);
        punch!.Run();
        bool absent = guest.Map.IsAbsent(frame);

        Pfn next = guest.Kernel.Allocator.Allocate()!.Value;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(next, Is.EqualTo(frame), "the test needs the same frame");
            Assert.That((absent, guest.Kernel.Log.Has(KernelEventKind.Oops)), Is.EqualTo((oops, oops)));
            Assert.That(guest.Kernel.Frames.Bytes(next)[0], Is.EqualTo(oops ? 0x5e : 0), "and its bytes are the old ones");
        }
    }

    [Test]
    public void Row40_An_access_shows_the_frame_for_one_tick_and_flushes_every_processor_once()
    {
        using PathCase guest = PathCase.File(directMap: false);
        DirectMapPath path = new(guest.Vm, DirectMapMode.Restore);
        path.Read(new Gpa(0), new byte[1]);
        long flushes = guest.Map.Flushes;
        AccessLedger before = path.Ledger;

        GuestAccessStatus write = path.Write(new Gpa(0xff8), new byte[16]);

        AccessLedger after = path.Ledger;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(write, Is.EqualTo(Success));
            Assert.That((after.Restores - before.Restores, after.Removals - before.Removals), Is.EqualTo((2, 2)), "two pages");
            Assert.That((after.Flushes - before.Flushes, after.InterruptedProcessors - before.InterruptedProcessors), Is.EqualTo((2, 2)), "each interrupts the other processor");
            Assert.That(guest.Map.Flushes - flushes, Is.EqualTo(3), "the new page's own removal beside");
            Assert.That(after.ExposedTicks - before.ExposedTicks, Is.EqualTo(4), "both are shown until both are copied");
            Assert.That((guest.Map.Reaches(guest.Host.Kernel.Frames.HeadOf(new Pfn(0)), 0), guest.Map.ExposedFrames), Is.EqualTo((true, 0)));
        }
    }

    [TestCase(InjectedFaults.None, null)]
    [TestCase(InjectedFaults.MiscountDirectMapUses, KernelEventKind.Oops)]
    public void Row40_Two_nested_users_make_one_restore_and_one_removal_in_every_order(InjectedFaults faults, KernelEventKind? problem)
    {
        bool nested = false;
        InterleavingException? found = null;
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, faults, frames: 160);
                DirectMapPath one = new(guest.Vm, DirectMapMode.Restore, processor: 0);
                DirectMapPath two = new(guest.Vm, DirectMapMode.Restore, processor: 1);
                one.Write(new Gpa(0), [0x42]);
                Pfn frame = file.Cached(0)!.Value;
                (long restores, long removals, byte[] first, byte[] second, bool met) = (guest.Map.Restores, guest.Map.Removals, new byte[1], new byte[1], false);
                return new Scenario
                {
                    World = guest,
                    Always = () =>
                    {
                        met |= guest.Map.UseDepth(frame) == 2;
                        return guest.Map.UseDepth(frame) > 0 != guest.Map.Shows(frame) ? "shown and not used, or used and not shown"
                            : guest.Kernel.Log.Events.Count > 0 ? guest.Kernel.Log.Events[0].ToString() : null;
                    },
                    AtEnd = () =>
                    {
                        nested |= met;
                        long expected = met ? 1 : 2;
                        bool counted = guest.Map.Restores - restores == expected && guest.Map.Removals - removals == expected;
                        return !counted ? $"{guest.Map.Restores - restores} restores, {guest.Map.Removals - removals} removals"
                            : first[0] != 0x42 || second[0] != 0x42 ? "wrong bytes"
                            : guest.Map.Reaches(frame, 0) || guest.Map.Reaches(frame, 1) ? "still reached" : null;
                    },
                }.With("vcpu0", one.ReadSteps(new Gpa(0), first)).With("vcpu1", two.ReadSteps(new Gpa(0), second));
            });
        }
        catch (InterleavingException e)
        {
            found = e;
        }

        Assert.That(found?.Problem, problem is null ? Is.Null : Does.StartWith(problem.ToString()!));
        Assert.That(nested || problem is not null);
    }

    [Test]
    public void Row40_Without_a_flush_the_exposure_goes_on_until_somebody_flushes_and_is_reported()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        DirectMapPath path = new(guest.Vm, DirectMapMode.RestoreWithoutFlush);
        path.Write(new Gpa(0), [1]);
        Pfn frame = file.Cached(0)!.Value;
        (bool shown, bool stale, bool other, int unflushed) = (guest.Map.Shows(frame), guest.Map.Reaches(frame, 0), guest.Map.Reaches(frame, 1), guest.Map.UnflushedFrames);
        guest.Kernel.Clock.Tick(9);
        bool used = guest.Map.TryAccess(frame);
        long none = path.Ledger.Flushes;

        path.Flush();

        using (Assert.EnterMultipleScope())
        {
            Assert.That((shown, stale, other, unflushed), Is.EqualTo((false, true, false, 1)));
            Assert.That((used, guest.Map.StaleAccesses, none), Is.EqualTo((true, 1, 0)));
            Assert.That(guest.Map.Reaches(frame, 0), Is.False);
            Assert.That((path.Ledger.ResidualTicks, path.Ledger.Flushes, path.Ledger.InterruptedProcessors), Is.EqualTo((9, 1, 1)));
        }
    }

    [Test]
    public void Row40_A_flush_that_is_forgotten_leaves_the_frame_in_reach()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, InjectedFaults.SkipFlush);
        new DirectMapPath(guest.Vm, DirectMapMode.Restore).Write(new Gpa(0), [1]);

        Assert.That(guest.Map.Reaches(file.Cached(0)!.Value, 0), "P14 is broken, and it shows");
    }

    [Test]
    public void Row40_A_batch_is_taken_out_together_and_flushed_once()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, pages: 8);
        DirectMapPath path = new(guest.Vm, DirectMapMode.RestoreInBatches, batchSize: 4);
        (long, long, long, ulong) before = default;
        for (int round = 0; round < 2; round++)
        {
            before = guest.Counters();
            for (int page = 0; page < 3; page++)
            {
                path.Write(VmCase.Gpa(page), [1]);
                path.Write(VmCase.Gpa(page), [2]);
            }

            Assert.That((path.BatchedFrames, guest.Map.ExposedFrames), Is.EqualTo((3, 3)));
            Assert.That(file.Convert(0, 1, toPrivate: true).Run(), Is.EqualTo(Errno.EAGAIN), "the batch holds a reference");
            path.Write(VmCase.Gpa(3), [1]);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((path.BatchedFrames, guest.Map.ExposedFrames, guest.Map.UnflushedFrames), Is.EqualTo((0, 0, 0)), "the fourth frame ends the batch");
            Assert.That((path.Ledger.Restores, path.Ledger.Removals, path.Ledger.Flushes), Is.EqualTo((8, 8, 2)));
            Assert.That(guest.Counters(), Is.EqualTo(before));
            Assert.That(file.Convert(0, 1, toPrivate: true).Run(), Is.EqualTo(Errno.None));
            Assert.That(guest.Map.Reaches(file.Cached(0)!.Value, 0), Is.False);
        }
    }

    [Test]
    public void Row40_A_batch_that_is_not_full_ends_by_a_call()
    {
        using PathCase guest = PathCase.File(directMap: false);
        DirectMapPath path = new(guest.Vm, DirectMapMode.RestoreInBatches);
        path.Write(new Gpa(0), new byte[5000]);

        path.Flush();
        path.Flush();

        Assert.That((path.BatchedFrames, guest.Map.ExposedFrames, path.Ledger.Flushes), Is.EqualTo((0, 0, 1)));
    }

    [Test]
    public void Row40_The_first_removal_in_a_large_page_splits_it_and_restoring_joins_nothing()
    {
        using PathCase guest = PathCase.File(directMap: false);
        long before = guest.Map.Splits;
        DirectMapPath path = new(guest.Vm, DirectMapMode.Restore);

        path.Write(new Gpa(0), [1]);
        long first = guest.Map.Splits;
        path.Write(new Gpa(0x1000), [1]);

        Assert.That((before, first, guest.Map.Splits), Is.EqualTo((0, 2, 2)));
    }

    [Test]
    public void Row40_A_folio_that_is_locked_is_waited_for_by_an_operation_and_not_by_a_call()
    {
        using PathCase guest = PathCase.File(directMap: false, out GuestMemfd file);
        DirectMapPath path = new(guest.Vm, DirectMapMode.Restore);
        path.Write(new Gpa(0), [7]);
        ref PageFrame folio = ref guest.Kernel.Frames[file.Cached(0)!.Value];
        int references = folio.RefCount;
        folio.Flags |= FrameFlags.Locked;
        GuestAccessStatus call = path.Read(new Gpa(0), new byte[1]);
        Errno error = path.LastError;
        byte[] read = new byte[1];
        Actor reader = new("reader", path.ReadSteps(new Gpa(0), read));
        Finish(reader);
        bool waits = !reader.IsDone;
        folio.Flags &= ~FrameFlags.Locked;
        Finish(reader);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((call, error), Is.EqualTo((GuestAccessStatus.Fault, Errno.EAGAIN)));
            Assert.That((waits, reader.IsDone, read[0]), Is.EqualTo((true, true, 7)));
            Assert.That(folio.RefCount, Is.EqualTo(references));
        }
    }

    [Test]
    public void Row40_Every_allocation_that_fails_leaves_the_counters_as_they_were()
    {
        using PathCase guest = PathCase.File(directMap: false);
        DirectMapPath path = new(guest.Vm, DirectMapMode.Restore);
        (long, long, long, ulong) before = guest.Counters();
        guest.Kernel.Allocator.FailAfter = 0;

        GuestAccessStatus status = path.Write(new Gpa(0), [1]);

        Assert.That((status, path.LastError, guest.Counters()), Is.EqualTo((GuestAccessStatus.Fault, Errno.ENOMEM, before)));
    }

    private static void Finish(Actor actor)
    {
        while (actor.IsEnabled)
        {
            actor.Go();
        }
    }
}
