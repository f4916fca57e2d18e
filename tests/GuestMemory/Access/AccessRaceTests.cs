using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Accesses by each path beside changes of what they reach, in every order.</summary>
[TestFixture]
public sealed class AccessRaceTests
{
    private const byte Old = 0x5e;

    public static IEnumerable<AccessPathKind> Paths => [AccessPathKind.Userspace, AccessPathKind.DirectMapRestore, AccessPathKind.MmLocal, AccessPathKind.ViewSwitch];

    [TestCaseSource(nameof(Paths))]
    public void No_copy_made_after_a_hole_shows_the_old_byte(AccessPathKind kind) => Assert.That(BesideHole(kind, InjectedFaults.None), Is.Null);

    [Test]
    public void It_is_the_look_at_the_sequence_that_keeps_them_so(
        [Values(AccessPathKind.DirectMapRestore, AccessPathKind.MmLocal, AccessPathKind.ViewSwitch)] AccessPathKind kind) =>
        Assert.That(BesideHole(kind, InjectedFaults.SkipInvalidateCheck)?.Problem, Does.Contain("old byte"));

    [TestCaseSource(nameof(Paths))]
    public void A_page_that_became_private_has_no_reference_of_theirs(AccessPathKind kind)
    {
        HashSet<Errno> results = [];
        StepScheduler.ExploreAll(() =>
        {
            PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, pages: 1, frames: 160);
            GuestAccessPath path = Make(guest, kind);
            path.Write(new Gpa(0), [Old]);
            GuestMemfd.ConvertOperation convert = file.Convert(0, 1, toPrivate: true);
            return new Scenario
            {
                World = guest,
                AtEnd = () =>
                {
                    results.Add(convert.Result);
                    PageFrame folio = guest.Kernel.Frames[file.Cached(0)!.Value];
                    return folio.RefCount != folio.MapCount + 1 || (convert.Result == Errno.None && folio.RefCount != 1) ? $"{convert.Result}: refcount {folio.RefCount}, mapcount {folio.MapCount}"
                        : guest.Kernel.Log.Events.Count > 0 ? guest.Kernel.Log.Events[0].ToString() : null;
                },
            }.With("kvm", path.WriteSteps(new Gpa(0), new byte[] { 1 })).With("vmm", convert);
        });

        Assert.That(results, Does.Contain(Errno.None));
        Assert.That(results.Contains(Errno.EAGAIN), Is.EqualTo(kind != AccessPathKind.Userspace), "a path that goes by the frame holds a reference meanwhile");
    }

    [Test]
    public void A_slot_goes_only_when_no_access_uses_it([ValueSource(nameof(Paths))] AccessPathKind kind, [Values] bool waits)
    {
        HashSet<GuestAccessStatus> results = [];
        InterleavingException? found = null;
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                PathCase guest = PathCase.File(directMap: false, waits ? InjectedFaults.None : InjectedFaults.SkipSynchronizeSrcu, pages: 1, frames: 160);
                GuestAccessPath path = Make(guest, kind);
                path.Write(new Gpa(0), [Old]);
                HostOperation<GuestAccessStatus> read = path.ReadSteps(new Gpa(0), new byte[1]);
                return new Scenario
                {
                    World = guest,
                    Always = () => guest.Vm.Slots.All.Count == 0 && guest.Vm.Srcu.Readers > 0 && read.Result == GuestAccessStatus.Success && path.Ledger.Accesses == 2
                        ? "the slot is gone and an access uses it"
                        : null,
                    AtEnd = () =>
                    {
                        results.Add(read.Result);
                        return null;
                    },
                }.With("kvm", read).With("vmm", guest.Vm.DeleteSlot(guest.Vm.Slots.All[0].Id));
            });
        }
        catch (InterleavingException e)
        {
            found = e;
        }

        Assert.That(found is null, Is.EqualTo(waits), "it is the wait for readers that keeps the rule");
        GuestAccessStatus[] all = [GuestAccessStatus.Success, GuestAccessStatus.Fault, GuestAccessStatus.NoSlot];
        Assert.That(results, waits ? Is.EquivalentTo(all) : Is.SubsetOf(all), "before, while it is invalid, and after");
    }

    [TestCaseSource(nameof(Paths))]
    public void A_write_is_in_the_dirty_log_and_a_read_is_not(AccessPathKind kind)
    {
        using PathCase guest = new();
        guest.Host.Process.MapAt(HostCase.Base, 4, VmCase.Rw);
        MemslotOperation create = guest.Vm.CreateSlot(new Gpa(0), 4 << 12, new Hva(HostCase.Base), MemslotFlags.LogDirtyPages);
        create.Run();
        GuestAccessPath path = Make(guest, kind);
        path.Read(new Gpa(0), new byte[8]);
        path.Write(new Gpa(0x1ffe), new byte[4]);
        path.CompareExchangeUInt64(new Gpa(0x3008), 0, 1, out _);

        DirtyLogOperation log = guest.Vm.GetDirtyLog(create.Slot!.Id);
        log.Run();

        Assert.That(log.Pages, Is.EqualTo(new ulong[] { 1, 2, 3 }));
    }

    [TestCaseSource(nameof(Paths))]
    public void An_access_to_what_is_there_allocates_nothing(AccessPathKind kind)
    {
        using PathCase guest = PathCase.File(directMap: false);
        GuestAccessPath path = Make(guest, kind);
        byte[] bytes = new byte[16];
        void Once()
        {
            path.Write(new Gpa(0xff8), bytes);
            path.Read(new Gpa(0xff8), bytes);
            path.ReadUInt64(new Gpa(0), out ulong value);
            path.CompareExchangeUInt64(new Gpa(0), value, value + 1, out _);
        }

        for (int i = 0; i < 100; i++)
        {
            Once();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            Once();
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1000), "less than a byte for each");
    }

    private static InterleavingException? BesideHole(AccessPathKind kind, InjectedFaults faults)
    {
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                PathCase guest = PathCase.File(directMap: false, out GuestMemfd file, faults, pages: 1, frames: 160);
                GuestAccessPath path = Make(guest, kind);
                path.Write(new Gpa(0), [Old]);
                file.PunchHole(0, 0x1000, keepSize: true, out HostOperation? punch);
                byte[] read = new byte[1];
                Pfn old = file.Cached(0)!.Value;
                (long copied, bool? before) = (path.Ledger.BytesRead, null);
                return new Scenario
                {
                    World = guest,
                    Always = () =>
                    {
                        // A party's last steps may be of no concern to the other, so that it has ended says less than what it has done.
                        bool ended = file.Cached(0) != old && guest.Vm.InvalidationsInProgress == 0;
                        before = ended ? before ?? path.Ledger.BytesRead > copied : null;
                        return guest.Kernel.Log.Events.Count > 0 ? guest.Kernel.Log.Events[0].ToString() : null;
                    },
                    AtEnd = () => before == false && read[0] == Old ? "the old byte was copied after the hole"
                        : guest.Map.ExposedFrames + guest.Map.UnflushedFrames != 0 ? "something is still shown" : null,
                }.With("kvm", path.ReadSteps(new Gpa(0), read)).With("vmm", punch!);
            });
            return null;
        }
        catch (InterleavingException e)
        {
            return e;
        }
    }

    private static GuestAccessPath Make(PathCase guest, AccessPathKind kind) => kind switch
    {
        AccessPathKind.Userspace => new UserspacePath(guest.Vm),
        AccessPathKind.MmLocal => MmLocalPath.For(guest.Vm, slots: 8),
        AccessPathKind.ViewSwitch => ViewSwitchPath.For(guest.Vm),
        _ => new DirectMapPath(guest.Vm, kind == AccessPathKind.DirectMap ? DirectMapMode.Refuse : DirectMapMode.Restore),
    };
}
