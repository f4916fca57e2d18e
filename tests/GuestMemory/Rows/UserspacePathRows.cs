using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Row 39 of the host-memory table: copy_from_user and copy_to_user on the memslot's address.</summary>
[TestFixture]
public sealed class UserspacePathRows
{
    private const GuestAccessStatus Success = GuestAccessStatus.Success;

    [Test]
    public void Row39_It_works_with_the_direct_map_absent()
    {
        using PathCase guest = PathCase.File(directMap: false);
        UserspacePath path = new(guest.Vm);
        byte[] read = new byte[6000];
        byte[] written = [.. Enumerable.Range(0, 6000).Select(i => (byte)(i * 7))];

        GuestAccessStatus write = path.Write(new Gpa(0x800), written);
        long exposed = guest.Map.Restores;
        GuestAccessStatus again = path.Read(new Gpa(0x800), read);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((write, again), Is.EqualTo((Success, Success)));
            Assert.That(read, Is.EqualTo(written));
            Assert.That(guest.Map.AbsentFrames, Is.EqualTo(2), "the memory is out of the direct map");
            Assert.That(exposed, Is.Zero);
            Assert.That(path.Ledger.References + path.Ledger.Flushes + path.Ledger.Restores, Is.Zero);
        }
    }

    [Test]
    public void Row39_A_page_that_is_absent_is_faulted_in_once()
    {
        using PathCase guest = PathCase.Anonymous();
        UserspacePath path = new(guest.Vm);

        GuestAccessStatus read = path.Read(VmCase.Gpa(1), new byte[8]);
        long first = path.Ledger.Faults;
        GuestAccessStatus again = path.ReadUInt64(VmCase.Gpa(1), out ulong word);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((read, again, word), Is.EqualTo((Success, Success, 0ul)));
            Assert.That((first, path.Ledger.Faults, path.Ledger.Accesses), Is.EqualTo((1, 1, 2)));
            Assert.That(guest.Host.FrameAt(HostCase.Page(1)).Value, Is.Not.Zero);
        }
    }

    [Test]
    public void Row39_What_cannot_be_faulted_in_is_EFAULT_and_nothing_is_written()
    {
        using PathCase guest = PathCase.Anonymous(pages: 2);
        guest.Vm.Slots.Add(VmCase.Gpa(2), 0x1000, HostCase.Page(2));
        UserspacePath path = new(guest.Vm);
        path.Write(VmCase.Gpa(1), new byte[4096]);
        (long, long, long, ulong) before = guest.Counters();

        GuestAccessStatus status = path.Write(new Gpa(0x1ff0), Enumerable.Repeat((byte)0xee, 0x20).ToArray());
        Errno error = path.LastError;
        byte[] after = new byte[16];
        path.Read(new Gpa(0x1ff0), after);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((status, error), Is.EqualTo((GuestAccessStatus.Fault, Errno.EFAULT)));
            Assert.That(after, Has.All.Zero);
            Assert.That(guest.Counters(), Is.EqualTo(before));
            Assert.That(path.LastError, Is.EqualTo(Errno.None), "a success forgets the error");
        }
    }

    [Test]
    public void Row39_A_write_to_a_page_that_is_shared_for_reading_makes_the_copy_first()
    {
        using PathCase guest = PathCase.Anonymous();
        UserspacePath path = new(guest.Vm);
        path.Write(VmCase.Gpa(0), [1]);
        AddressSpace child = guest.Host.Process.Fork("child").Run();
        Pfn shared = guest.Host.FrameAt(HostCase.Page(0));

        GuestAccessStatus write = path.Write(VmCase.Gpa(0), [2]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(write, Is.EqualTo(Success));
            Assert.That(guest.Host.FrameAt(HostCase.Page(0)), Is.Not.EqualTo(shared));
            Assert.That(guest.Kernel.Frames.Bytes(shared)[0], Is.EqualTo(1), "the child keeps its byte");
            Assert.That(child.Tables.LookupPfn(HostCase.Page(0), out Pfn kept, out _, out _) && kept == shared);
        }
    }

    [TestCase(5ul, 5ul, 9ul, true)]
    [TestCase(5ul, 4ul, 5ul, false)]
    public void Row39_A_compare_exchange_is_made_on_the_users_page(ulong held, ulong expected, ulong after, bool made)
    {
        using PathCase guest = PathCase.Anonymous();
        UserspacePath path = new(guest.Vm);
        path.Write(VmCase.Gpa(0) + 8, BitConverter.GetBytes(held));

        GuestAccessStatus status = path.CompareExchangeUInt64(VmCase.Gpa(0) + 8, expected, 9, out ulong observed);
        path.ReadUInt64(VmCase.Gpa(0) + 8, out ulong now);

        Assert.That((status, observed, observed == expected, now), Is.EqualTo((Success, held, made, after)));
    }

    [Test]
    public void Row39_A_read_only_slot_is_read_and_not_written()
    {
        using PathCase guest = PathCase.Anonymous(slot: MemslotFlags.ReadOnly);
        UserspacePath path = new(guest.Vm);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(path.Read(new Gpa(0), new byte[1]), Is.EqualTo(Success));
            Assert.That(path.Write(new Gpa(0), [1]), Is.EqualTo(GuestAccessStatus.ReadOnlySlot));
            Assert.That(path.CompareExchangeUInt64(new Gpa(0), 0, 1, out _), Is.EqualTo(GuestAccessStatus.ReadOnlySlot));
            Assert.That(path.Read(new Gpa(0x4000), new byte[1]), Is.EqualTo(GuestAccessStatus.NoSlot));
            Assert.That(path.Read(new Gpa(0x3fff), new byte[2]), Is.EqualTo(GuestAccessStatus.NoSlot));
            Assert.That(path.LastError, Is.EqualTo(Errno.EFAULT));
        }
    }

    [Test]
    public void Row39_A_party_in_the_middle_of_something_makes_a_call_give_up_and_an_operation_wait()
    {
        using PathCase guest = PathCase.Anonymous();
        UserspacePath path = new(guest.Vm);
        guest.Host.Process.MmapLock.TryAcquire(shared: false);
        GuestAccessStatus call = path.Read(new Gpa(0), new byte[1]);
        Errno error = path.LastError;
        Actor reader = new("reader", path.ReadSteps(new Gpa(0), new byte[1]));
        while (reader.IsEnabled)
        {
            reader.Go();
        }

        bool waits = !reader.IsDone;
        guest.Host.Process.MmapLock.Release();
        while (reader.IsEnabled)
        {
            reader.Go();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((call, error), Is.EqualTo((GuestAccessStatus.Fault, Errno.EAGAIN)));
            Assert.That((waits, reader.IsDone), Is.EqualTo((true, true)));
        }
    }

    [Test]
    public void Row39_No_order_of_a_read_and_a_discard_shows_the_old_byte_afterwards()
    {
        long orders = StepScheduler.ExploreAll(() =>
        {
            PathCase guest = PathCase.Anonymous(pages: 1);
            UserspacePath path = new(guest.Vm);
            path.Write(new Gpa(0), [0x5a]);
            byte[] read = new byte[1];
            return new Scenario
            {
                World = guest,
                AtEnd = () =>
                {
                    byte[] now = new byte[1];
                    GuestAccessStatus status = path.Read(new Gpa(0), now);
                    return status != Success || now[0] != 0 ? $"{status}: 0x{now[0]:x}" : read[0] is not (0 or 0x5a) ? $"read 0x{read[0]:x}" : null;
                },
            }.With("reader", path.ReadSteps(new Gpa(0), read)).With("vmm", guest.Host.Process.Discard(HostCase.Page(0), 1));
        });

        Assert.That(orders, Is.GreaterThan(2));
    }
}
