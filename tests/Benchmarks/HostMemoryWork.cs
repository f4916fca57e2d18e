using Quadwalk.GuestMemory;

namespace Quadwalk.Benchmarks;

/// <summary>A modelled host with a VMM and a guest whose memory is all touched, and one operation of each kind on it.</summary>
internal sealed class HostMemoryWork : IDisposable
{
    /// <summary>Operations of <see cref="RandomOperations"/>: as many as it takes for the rare and dear ones to have their share.</summary>
    public const int RandomAtATime = 2000;

    private const ulong Base = 0x10_0000_0000;
    private const int Pages = 64;
    private const int Processes = 4;
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    private readonly HostKernel kernel;
    private readonly AddressSpace process;
    private readonly Kvm vm;
    private readonly MemoryFile file;
    private readonly Pfn frame;
    private readonly HostPage good;
    private readonly HostPage bad;
    private readonly byte[] bytes = new byte[8];
    private readonly byte[] page = new byte[4096];
    private readonly Random random = new(1);
    private int next;

    public HostMemoryWork(bool mirrored)
    {
        kernel = new HostKernel(new HostKernelOptions { Frames = 4096, Memory = HostMemoryKind.Memfd, Mirrored = mirrored });
        process = new AddressSpace(kernel);
        process.MapAt(Base, Pages, Rw);
        file = new MemoryFile(kernel, Pages);
        process.MapAt(Base + (Pages << 12), Pages, Rw | VmFlags.Shared, file);
        for (int i = 0; i < 2 * Pages; i++)
        {
            process.Fault(Page(i), write: true).Run();
        }

        vm = new Kvm(process);
        vm.Slots.Add(new Gpa(0), 2 * Pages << 12, new Hva(Base));
        frame = kernel.Allocator.Allocate() ?? throw new HostOutOfFramesException("the benchmark");
        good = HostPage.TryMake(HostPageKind.Ordinary, out _)!;
        bad = HostPage.TryMake(HostPageKind.NoRights, out _)!;
    }

    public ulong LookupPfn()
    {
        process.Tables.LookupPfn(NextPage(), out Pfn found, out _, out _);
        return found.Value;
    }

    public ulong FastResolve()
    {
        PfnResolver.TryFast(process, NextPage(), FollFlags.Write | FollFlags.Get, out Pfn found);
        kernel.Folios.Put(found);
        return found.Value;
    }

    public ulong ResolveAtOnce()
    {
        PfnResolver resolver = new(process, NextPage(), new FollowPfn(FollFlags.Write));
        resolver.Run();
        resolver.Release(dirty: false);
        return resolver.Result.Raw;
    }

    public ulong ResolveBySteps()
    {
        PfnResolver resolver = new(process, NextPage(), new FollowPfn(FollFlags.Write));
        BySteps(resolver);
        resolver.Release(dirty: false);
        return resolver.Result.Raw;
    }

    public ulong ResolveAbsent()
    {
        Hva hva = NextPage();
        process.Discard(hva, 1).Run();
        PfnResolver resolver = new(process, hva, new FollowPfn(FollFlags.Write));
        resolver.Run();
        resolver.Release(dirty: false);
        return resolver.Result.Raw;
    }

    public ulong Gup()
    {
        GupOperation gup = new(process, NextPage(), 1, FollFlags.Write | FollFlags.FastOnly | FollFlags.Get);
        gup.Run();
        kernel.Folios.Put(gup.Frames[0]);
        return gup.Frames[0].Value;
    }

    public ulong StageTwoAtOnce() => (ulong)new StageTwoFault(vm, NextGpa(), write: true).Run();

    public ulong StageTwoBySteps()
    {
        StageTwoFault fault = new(vm, NextGpa(), write: true);
        BySteps(fault);
        return (ulong)fault.Result;
    }

    public ulong StageTwoAfterZap()
    {
        Gpa gpa = NextGpa();
        vm.StageTwo.Zap(gpa.Frame, 1);
        return (ulong)new StageTwoFault(vm, gpa, write: true).Run();
    }

    public ulong DirectMapOutAndIn()
    {
        kernel.DirectMap.Remove(frame, 1);
        kernel.DirectMap.Restore(frame, 1);
        return frame.Value;
    }

    public ulong ReadGood8()
    {
        NofaultCopy.TryRead64(good.Address, out ulong word);
        return word;
    }

    public ulong ReadBad8() => NofaultCopy.TryRead64(bad.Address, out ulong word) ? 1 : word;

    public ulong ReadGood4096() => NofaultCopy.TryRead(good.Address, page) ? 1UL : 0;

    public ulong CallGood8() => NofaultCopy.TryRead(good.Address, bytes, NofaultMechanism.SystemCall) ? 1UL : 0;

    public ulong CallBad8() => NofaultCopy.TryRead(bad.Address, bytes, NofaultMechanism.SystemCall) ? 1UL : 0;

    public ulong CallGood4096() => NofaultCopy.TryRead(good.Address, page, NofaultMechanism.SystemCall) ? 1UL : 0;

    /// <summary>Operations that change mappings or look frames up, drawn at random.</summary>
    public ulong RandomOperations()
    {
        ulong sum = 0;
        for (int i = 0; i < RandomAtATime; i++)
        {
            sum += RandomOperation();
        }

        return sum;
    }

    public void Dispose()
    {
        good.Dispose();
        bad.Dispose();
        vm.Dispose();
        kernel.Dispose();
    }

    private ulong RandomOperation()
    {
        AddressSpace mm = kernel.Processes[random.Next(kernel.Processes.Count)];
        Hva hva = Page(random.Next(2 * Pages));
        switch (random.Next(100))
        {
            case < 35:
                return (ulong)new StageTwoFault(vm, new Gpa((ulong)random.Next(2 * Pages) << 12), random.Next(2) == 0).Run();
            case < 60:
                return (ulong)mm.Fault(hva, random.Next(2) == 0).Run();
            case < 70:
                GupOperation gup = new(mm, hva, 1, FollFlags.Get | FollFlags.Write);
                if (gup.Run().Pages == 1)
                {
                    kernel.Folios.Put(gup.Frames[0]);
                }

                return 0;
            case < 78:
                mm.Discard(hva, 1).Run();
                return 0;
            case < 84:
                mm.Protect(hva, 1, random.Next(3) == 0 ? VmFlags.Read : Rw).Run();
                return 0;
            case < 90:
                file.Punch((ulong)random.Next(Pages), 1).Run();
                return 0;
            case < 96:
                return mm.Tables.LookupPfn(hva, out Pfn found, out _, out _) && kernel.Folios.IsRefCounted(found)
                    ? (ulong)new MigrateOperation(kernel, found).Run()
                    : 0;
            case < 98:
                DirectMapOutAndIn();
                return 0;
            default:
                if (kernel.Processes.Count < Processes)
                {
                    mm.Fork("child").Run();
                }
                else
                {
                    kernel.Processes[^1].Exit().Run();
                }

                return 0;
        }
    }

    private static void BySteps(HostOperation operation)
    {
        Actor actor = new("one", operation);
        while (!actor.IsDone)
        {
            actor.Go();
        }
    }

    private static Hva Page(int index) => new(Base + ((ulong)index << 12));

    private Hva NextPage() => Page(next++ & (Pages - 1));

    private Gpa NextGpa() => new((ulong)(next++ & (Pages - 1)) << 12);
}
