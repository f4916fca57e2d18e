using System.Diagnostics;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>What the host's own kernel does with pages of each kind; the modelled one is held to the same answers.</summary>
[TestFixture]
[Platform("Linux")]
public sealed class KernelReachRows
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    [Test]
    public void Ordinary_memory_is_reached_in_every_way_and_memory_without_rights_in_none()
    {
        using HostPage ordinary = Page(HostPageKind.Ordinary);
        using HostPage none = Page(HostPageKind.NoRights);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Reach(ordinary), Is.EqualTo((Errno.None, Errno.None, Errno.None, Errno.None, true)));
            Assert.That(Reach(none), Is.EqualTo((Errno.EFAULT, Errno.EFAULT, Errno.EFAULT, Errno.EINVAL, false)));
        }
    }

    [Test]
    public void Row04_Real_GUP_refuses_vvar_as_the_model_refuses_PFNMAP()
    {
        using HostPage page = Page(HostPageKind.PfnMap);
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.PfnMap, new DriverMemory(host.Kernel, DriverMemory.Allocate(host.Kernel)));
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Reach(page), Is.EqualTo((Errno.None, Errno.EFAULT, Errno.EFAULT, Errno.EINVAL, true)));
            Assert.That(Modelled(host), Is.EqualTo((KernelReach.GupFast(page.Address), KernelReach.GupSlow(page.Address))));
        }
    }

    [Test]
    public void Row09_Real_GUP_refuses_secret_memory_fast_and_slow_as_the_model_does()
    {
        using HostPage page = Page(HostPageKind.Secret);
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw | VmFlags.Shared, new SecretFile(host.Kernel, 1));
        host.Touch(HostCase.Page(0));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Reach(page), Is.EqualTo((Errno.None, Errno.EFAULT, Errno.EFAULT, Errno.EINVAL, true)));
            Assert.That(Modelled(host), Is.EqualTo((KernelReach.GupFast(page.Address), KernelReach.GupSlow(page.Address))));
            Assert.That(NofaultCopy.TryWrite64(page.Address, 5), Is.True);
            Assert.That(NofaultCopy.TryRead(page.Address, new byte[8], NofaultMechanism.SystemCall), Is.False, "this way is GUP");
        }
    }

    [Test]
    public void Row28_Real_a_poisoned_page_is_EHWPOISON_with_the_flag_and_EFAULT_without_as_in_the_model()
    {
        using HostPage page = Page(HostPageKind.Poisoned);
        using HostCase host = new();
        host.Process.MapAt(HostCase.Base, 1, Rw);
        host.Process.Tables.TrySet(HostCase.Page(0), 1, HostPte.Poison(default));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Reach(page), Is.EqualTo((Errno.EFAULT, Errno.EFAULT, Errno.EFAULT, Errno.EHWPOISON, false)));
            Assert.That(Modelled(host), Is.EqualTo((KernelReach.GupFast(page.Address), KernelReach.GupSlow(page.Address))));
            Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.HwPoison).Result.Error, Is.EqualTo(KernelReach.GupHwPoison(page.Address)));
            Assert.That(NofaultCopy.TryWrite64(page.Address, 1), Is.False, "SIGBUS");
        }
    }

    [Test]
    public void A_page_of_each_kind_leaves_nothing_behind()
    {
        string[] files = Directory.GetFiles("/proc/self/fd");
        for (int i = 0; i < 20; i++)
        {
            foreach (HostPageKind kind in Enum.GetValues<HostPageKind>())
            {
                using HostPage? page = HostPage.TryMake(kind, out _);
                if (page is not null)
                {
                    _ = Reach(page);
                }
            }
        }

        Assert.That(Directory.GetFiles("/proc/self/fd"), Has.Length.LessThan(files.Length + 20));
    }

    [Test]
    public void The_host_is_said_to_have_the_pages_that_can_be_made()
    {
        HostCapabilities host = HostCapabilities.Probe();
        using HostPage? secret = HostPage.TryMake(HostPageKind.Secret, out Errno secretError);
        using HostPage? poisoned = HostPage.TryMake(HostPageKind.Poisoned, out Errno poisonError);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.MemfdSecret, Is.EqualTo(secret is not null), secretError.ToString());
            Assert.That(host.PoisonedPages, Is.EqualTo(poisoned is not null), poisonError.ToString());
            Assert.That(host.NofaultCopy, Is.EqualTo(NofaultCopy.Mechanism));
        }
    }

    // copy_from_user, GUP fast first, GUP slow, GUP with FOLL_HWPOISON, and whether the processor reads it.
    private static (Errno Copy, Errno Fast, Errno Slow, Errno HwPoison, bool Read) Reach(HostPage page) =>
        (KernelReach.CopyFromUser(page.Address), KernelReach.GupFast(page.Address), KernelReach.GupSlow(page.Address), KernelReach.GupHwPoison(page.Address),
            NofaultCopy.TryRead64(page.Address, out _));

    // vmsplice takes references, process_vm_readv pins.
    private static (Errno Fast, Errno Slow) Modelled(HostCase host)
    {
        Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get | FollFlags.FastOnly).Result.Pages, Is.Zero);
        return (host.Gup(HostCase.Page(0), FollFlags.Get).Result.Error, host.Gup(HostCase.Page(0), FollFlags.Pin).Result.Error);
    }

    private static HostPage Page(HostPageKind kind)
    {
        HostPage? page = HostPage.TryMake(kind, out Errno error);
        if (page is null)
        {
            Assert.Ignore($"this host has no page of kind {kind}: {error}");
        }

        return page ?? throw new UnreachableException();
    }
}
