using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 4, 9 and 34 of the host-memory table: both ways of get_user_pages refuse the same pages, and who notices where they do not.</summary>
[TestFixture]
public sealed class GupRows
{
    private const VmFlags Shared = VmCase.Rw | VmFlags.Shared;

    private static readonly FollFlags[] Requests =
    [
        FollFlags.Get, FollFlags.Get | FollFlags.Write, FollFlags.Pin, FollFlags.Pin | FollFlags.Write,
        FollFlags.Pin | FollFlags.LongTerm, FollFlags.Pin | FollFlags.LongTerm | FollFlags.Write, FollFlags.Get | FollFlags.PciP2pDma,
    ];

    [Test]
    public void Row34_What_the_fast_way_gives_the_slow_way_gives_too([Range(1, 6)] int seed)
    {
        using HostCase host = RandomMemory(new Random(seed));
        host.Kernel.AuditsGup = true;
        int given = 0;
        for (int page = 0; page < 64; page++)
        {
            foreach (FollFlags request in Requests)
            {
                GupOperation fast = host.Gup(HostCase.Page(page), request | FollFlags.FastOnly);
                if (fast.Result.Pages == 0)
                {
                    continue;
                }

                given++;
                Pfn frame = fast.Frames[0];
                Release(host, request, frame);
                GupOperation slow = host.Gup(HostCase.Page(page), request | FollFlags.HwPoison);
                Assert.That((slow.Result.Pages, slow.Result.Pages == 1 ? slow.Frames[0] : default), Is.EqualTo((1, frame)), $"page {page}, {request}: {slow.Result.Error}");
                Release(host, request, frame);
            }
        }

        Assert.That(given, Is.GreaterThan(20));
        Assert.That(host.Kernel.Log.Events, Is.Empty);
    }

    [Test]
    public void Row34_Of_two_ranges_of_one_file_the_audit_reports_the_one_that_is_not_for_gup()
    {
        using HostCase host = new(KernelBehavior.Proposed);
        _ = GuestMemfd.Create(host.Kernel, 4096, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared, out GuestMemfd? file);
        host.Process.MapAt(HostCase.Base, 1, Shared, file);
        host.Process.MapAt(HostCase.Base + 0x8000, 1, Shared | VmFlags.NoGup, file);
        host.Touch(HostCase.Page(0));
        host.Touch(HostCase.Page(8));
        host.Kernel.AuditsGup = true;

        host.Gup(HostCase.Page(0), FollFlags.Get);
        long before = host.Kernel.Log.Count;
        GupResult fast = host.Gup(HostCase.Page(8), FollFlags.Get).Result;
        GupResult slow = host.Gup(HostCase.Page(8), FollFlags.Get | FollFlags.HwPoison).Result;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.Zero);
            Assert.That((fast.Pages, slow.Error), Is.EqualTo((1, Errno.EFAULT)));
            Assert.That(host.Kernel.Log.Events.Select(one => one.Kind), Is.EqualTo(new[] { KernelEventKind.GupDisagreement }));
        }
    }

    [Test]
    public void Row09_A_fast_way_that_does_not_ask_for_the_direct_map_is_noticed()
    {
        using HostCase host = new(faults: InjectedFaults.FastIgnoresMapping);
        host.Process.MapAt(HostCase.Base, 1, Shared, new SecretFile(host.Kernel, 1));
        host.Touch(HostCase.Page(0));
        host.Kernel.AuditsGup = true;

        Assert.That(host.Gup(HostCase.Page(0), FollFlags.Get).Result.Pages, Is.EqualTo(1));
        Assert.That(host.Kernel.Log.Has(KernelEventKind.GupDisagreement));
    }

    private static void Release(HostCase host, FollFlags request, Pfn frame)
    {
        if ((request & FollFlags.Pin) != 0)
        {
            host.Kernel.Folios.Unpin(frame);
        }
        else
        {
            host.Kernel.Folios.Put(frame);
        }
    }

    private static HostCase RandomMemory(Random random)
    {
        HostCase host = new(movable: 2048);
        for (int area = 0; area < 8; area++)
        {
            VmFlags rights = random.Next(3) == 0 ? VmFlags.Read : VmCase.Rw;
            bool shared = random.Next(2) == 0;
            VmBacking? backing = random.Next(6) switch
            {
                0 => new MemoryFile(host.Kernel, 8),
                1 => new DiskFile(host.Kernel, 8) { Dax = random.Next(2) == 0 },
                2 => new SecretFile(host.Kernel, 8),
                3 => new DriverMemory(host.Kernel, [.. Enumerable.Range(0, 8).Select(_ => host.Kernel.Allocator.Allocate()!.Value)]),
                _ => null,
            };
            VmFlags kind = backing is DriverMemory ? random.Next(2) == 0 ? VmFlags.PfnMap : VmFlags.MixedMap : 0;
            host.Process.MapAt(HostCase.Base + ((ulong)area << 15), 8, rights | kind | (shared || backing is SecretFile ? VmFlags.Shared : 0), backing);
        }

        for (int i = 0; i < 80; i++)
        {
            host.Touch(HostCase.Page(random.Next(64)), write: random.Next(2) == 0);
        }

        host.Process.Fork("child").Run();
        for (int i = 0; i < 20; i++)
        {
            host.Touch(HostCase.Page(random.Next(64)), write: random.Next(2) == 0);
            host.Process.HintNuma(HostCase.Page(random.Next(64)), 1).Run();
        }

        new ShrinkOperation(host.Kernel, 10).Run();
        return host;
    }
}
