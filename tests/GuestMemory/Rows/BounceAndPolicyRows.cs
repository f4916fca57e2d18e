using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 45 and 46 of the host-memory table: a shared bounce window, and pKVM's rules.</summary>
[TestFixture]
public sealed class BounceAndPolicyRows
{
    private static readonly Gpa Window = new(0x8000_0000);

    [Test]
    public void Row45_A_device_reaches_the_window_and_nothing_else()
    {
        using PathCase guest = Bouncing(out BounceWindow window);
        byte[] bytes = new byte[8];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(window.Write(Window + 0x3ff8, bytes), Is.EqualTo(GuestAccessStatus.Success));
            Assert.That(window.Write(Window + 0x3ff9, bytes), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That(window.Read(Window + ulong.MaxValue, bytes), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That(window.Read(new Gpa(0), bytes), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That(window.ReadUInt64(new Gpa(0), out _), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That(window.CompareExchangeUInt64(new Gpa(0), 0, 1, out _), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That((window.Ledger.Accesses, window.Ledger.Failures, window.Ledger.BytesWritten, window.Ledger.BytesRead), Is.EqualTo((6, 5, 8, 0)));
            Assert.That(new UserspacePath(guest.Vm).Read(new Gpa(0), bytes), Is.EqualTo(GuestAccessStatus.Fault), "the buffers are private");
        }
    }

    [TestCase(BounceDirection.ToDevice, 5000, 5000)]
    [TestCase(BounceDirection.FromDevice, 5000, 10000)]
    [TestCase(BounceDirection.ToDevice | BounceDirection.FromDevice, 100, 200)]
    public void Row45_Every_byte_that_is_bounced_is_counted(BounceDirection direction, int length, int bounced)
    {
        using PathCase guest = Bouncing(out BounceWindow window);
        Gpa buffer = new(0x123);
        byte[] content = [.. Enumerable.Range(0, length).Select(i => (byte)(i + 1))];
        GuestFill(guest, buffer, content);
        Errno mapped = window.TryMap(buffer, length, direction, out Gpa place);
        byte[] seen = new byte[length];
        window.Read(place, seen);
        byte[] answer = [.. Enumerable.Range(0, length).Select(i => (byte)(i * 3))];
        window.Write(place, answer);
        Errno unmapped = window.Unmap(place);

        bool back = (direction & BounceDirection.FromDevice) != 0;
        using (Assert.EnterMultipleScope())
        {
            Assert.That((mapped, unmapped, window.MappedBuffers), Is.EqualTo((Errno.None, Errno.None, 0)));
            Assert.That(seen, Is.EqualTo(content));
            Assert.That(GuestBytes(guest, buffer, length), Is.EqualTo(back ? answer : content));
            Assert.That(window.Ledger.BytesBounced, Is.EqualTo(bounced));
            Assert.That(window.Unmap(place), Is.EqualTo(Errno.ENOENT));
        }
    }

    [Test]
    public void Row45_The_window_has_so_much_room_and_gives_it_again()
    {
        using PathCase guest = Bouncing(out BounceWindow window);
        Errno[] maps = [.. Enumerable.Range(0, 9).Select(i => window.TryMap(new Gpa((ulong)i * 64), 64, BounceDirection.ToDevice, out _))];
        Errno freed = window.Unmap(Window + (3 * BounceWindow.SlotSize));
        Errno again = window.TryMap(new Gpa(0), BounceWindow.SlotSize, BounceDirection.ToDevice, out Gpa place);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(maps[..8], Has.All.EqualTo(Errno.None));
            Assert.That(maps[8], Is.EqualTo(Errno.ENOMEM));
            Assert.That((freed, again, place), Is.EqualTo((Errno.None, Errno.None, Window + (3 * BounceWindow.SlotSize))));
            Assert.That(window.TryMap(new Gpa(0), 0, BounceDirection.ToDevice, out _), Is.EqualTo(Errno.EINVAL));
            Assert.That(window.TryMap(new Gpa(0), (BounceWindow.MostSlots * BounceWindow.SlotSize) + 1, BounceDirection.ToDevice, out _), Is.EqualTo(Errno.EINVAL));
            Assert.That(window.Unmap(Window + 1), Is.EqualTo(Errno.ENOENT));
        }
    }

    [Test]
    public void Row45_A_buffer_that_the_guest_does_not_have_takes_no_room()
    {
        using PathCase guest = Bouncing(out BounceWindow window);

        Errno error = window.TryMap(new Gpa(0x4000_0000), 64, BounceDirection.ToDevice, out _);

        Assert.That((error, window.MappedBuffers, window.Ledger.BytesBounced), Is.EqualTo((Errno.EFAULT, 0, 0)));
    }

    // Columns: GUP, a process's mapping, the direct map, a window of the kernel's.
    [TestCase("kvm", GuestPageState.HostOwned, "GUDW")]
    [TestCase("kvm", GuestPageState.SharedWithHost, "GUDW")]
    [TestCase("kvm", GuestPageState.Private, "DW")]
    [TestCase("kvm", GuestPageState.Protected, "")]
    [TestCase("pkvm", GuestPageState.HostOwned, "GUDW")]
    [TestCase("pkvm", GuestPageState.SharedWithHost, "GUDW")]
    [TestCase("pkvm", GuestPageState.Private, "G")]
    [TestCase("pkvm", GuestPageState.Protected, "G")]
    public void Row46_The_policy_is_this_matrix(string name, GuestPageState state, string allowed)
    {
        HypervisorPolicy policy = name == "kvm" ? HypervisorPolicy.Kvm : HypervisorPolicy.Pkvm;

        string found = string.Concat(Enum.GetValues<HostUse>().Where(use => policy.Allows(state, use)).Select(use => "GUDW"[(int)use]));

        Assert.That(found, Is.EqualTo(allowed));
    }

    [TestCase("kvm", false, true, true, true, true)]
    [TestCase("kvm", true, false, true, true, true)]
    [TestCase("pkvm", false, true, true, true, true)]
    [TestCase("pkvm", true, false, false, false, false)]
    public void Row46_The_paths_keep_to_the_policy(string name, bool isPrivate, bool user, bool direct, bool local, bool view)
    {
        HypervisorPolicy policy = name == "kvm" ? HypervisorPolicy.Kvm : HypervisorPolicy.Pkvm;
        using PathCase guest = PathCase.File(directMap: true, out GuestMemfd file);
        _ = isPrivate && file.Convert(0, 4, toPrivate: true).Run() == Errno.None;
        GuestMemory.HostProcessor processor = new(guest.Kernel, 0);
        processor.Run(guest.Host.Process);
        using ViewSwitchPath viewPath = new(guest.Vm, processor) { Policy = policy };
        GuestAccessPath[] paths =
        [
            new UserspacePath(guest.Vm) { Policy = policy }, new DirectMapPath(guest.Vm, DirectMapMode.Restore) { Policy = policy },
            new MmLocalPath(guest.Vm, new MmLocalRegion(guest.Host.Process), processor) { Policy = policy }, viewPath,
        ];

        bool[] reached = [.. paths.Select(path => path.Read(new Gpa(8), new byte[8]) == GuestAccessStatus.Success)];

        Assert.That(reached, Is.EqualTo(new[] { user, direct, local, view }));
        Assert.That(paths.Select(path => path.LastError), Is.EqualTo(reached.Select(success => success ? Errno.None : Errno.EFAULT)));
    }

    [Test]
    public void Row46_Under_pkvm_a_donated_page_is_still_pinned_by_gup_and_reached_by_nobody()
    {
        using PathCase guest = PathCase.Anonymous();
        guest.Vm.SetAttributes(new Gfn(0), 1, isPrivate: true).Run();
        Memslot slot = guest.Vm.Slots.All[0];
        HypervisorPolicy policy = HypervisorPolicy.Pkvm;
        GuestPageState donated = policy.StateOf(guest.Vm, slot, new Gfn(0));
        GuestPageState lent = policy.StateOf(guest.Vm, slot, new Gfn(1));
        GupOperation pin = guest.Host.Gup(HostCase.Page(0), FollFlags.Pin | FollFlags.Write);
        guest.Map.Remove(pin.Frames[0], 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((donated, lent), Is.EqualTo((GuestPageState.Protected, GuestPageState.HostOwned)));
            Assert.That((pin.Result.Pages, guest.Kernel.Frames[pin.Frames[0]].PinCount), Is.EqualTo((1, 1)));
            Assert.That(policy.Allows(donated, HostUse.Gup) && !policy.Allows(donated, HostUse.DirectMap), "GUP without a direct map");
            Assert.That(new DirectMapPath(guest.Vm, DirectMapMode.Restore) { Policy = policy }.Read(new Gpa(0), new byte[1]), Is.EqualTo(GuestAccessStatus.Fault));
            Assert.That(guest.Map.Reaches(pin.Frames[0], 0), Is.False);
        }
    }

    // Private buffers in a guest_memfd from 0, and a shared window of four pages.
    private static PathCase Bouncing(out BounceWindow window)
    {
        PathCase guest = new();
        GuestMemfd.Create(guest.Kernel, 4 << 12, GuestMemfdFlags.None, out GuestMemfd? file);
        guest.Vm.AddGuestMemfdSlot(new Gpa(0), 4 << 12, new Hva(HostCase.Base * 2), file!, 0);
        guest.Vm.SetAttributes(new Gfn(0), 4, isPrivate: true).Run();
        guest.Host.Process.MapAt(HostCase.Base, 4, VmCase.Rw);
        Memslot shared = guest.Vm.Slots.Add(Window, 4 << 12, new Hva(HostCase.Base));
        window = new BounceWindow(guest.Vm, shared, new UserspacePath(guest.Vm));
        return guest;
    }

    private static void GuestFill(PathCase guest, Gpa gpa, byte[] bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            Gpa at = gpa + (ulong)i;
            if (!guest.Vm.TryGuestWrite(at, [bytes[i]]))
            {
                new StageTwoFault(guest.Vm, at, write: true, asPrivate: true).Run();
                guest.Vm.TryGuestWrite(at, [bytes[i]]);
            }
        }
    }

    private static byte[] GuestBytes(PathCase guest, Gpa gpa, int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            guest.Vm.TryGuestRead(gpa + (ulong)i, bytes.AsSpan(i, 1));
        }

        return bytes;
    }
}
