using System.Globalization;
using System.Runtime.InteropServices;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The processor has the last word: what the modelled host says can be reached is what real mappings let be reached, with the same bytes.</summary>
[TestFixture]
[Platform("Linux")]
public sealed partial class RealMirrorTests
{
    private const ulong Base = HostCase.Base;
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    private static IEnumerable<TestCaseData> Scenarios() =>
        from scenario in LabCatalog.All
        from behavior in scenario.Behaviors
        select new TestCaseData(scenario, behavior).SetArgDisplayNames(scenario.Name, behavior.ToString());

    [TestCaseSource(nameof(Scenarios))]
    public void A_scenario_of_the_lab_holds_on_real_mappings(LabScenario scenario, KernelBehavior behavior)
    {
        HostMemoryCases.Require(HostMemoryKind.Memfd);

        LabRun run = scenario.Run(new LabOptions { Behavior = behavior, Memory = HostMemoryKind.Memfd, Mirrored = true });

        Assert.That(run.Held, Is.True, () => $"{run.Error}\n{string.Join('\n', run.Lines.Where(line => line.Kind != LabLineKind.Step))}");
    }

    [Test]
    public void A_random_history_holds_on_real_mappings([Range(1, 4)] int seed)
    {
        HostMemoryCases.Require(HostMemoryKind.Memfd);
        using HostKernel kernel = Boot(frames: 2048);
        MirroredHistory history = new(kernel, seed);
        for (int step = 0; step < 800; step++)
        {
            string did = history.Step();
            string? difference = kernel.Mirror!.Compare();
            Assert.That(difference, Is.Null, () => string.Create(CultureInfo.InvariantCulture, $"seed {seed}, step {step}: {did}"));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(kernel.Log.Events, Is.Empty);
            Assert.That(kernel.Mirror!.Compared, Is.GreaterThan(20_000));
            Assert.That(history.Kinds, Is.EqualTo(MirroredHistory.AllKinds), "each kind of operation came about");
        }
    }

    [Test]
    public void A_random_world_of_many_actors_holds_on_real_mappings([Range(1, 3)] int seed, [Values] bool large)
    {
        HostMemoryCases.Require(HostMemoryKind.Memfd);
        using RandomWorld world = new(new WorldOptions { Seed = (ulong)seed, Large = large, Mirrored = true, Checked = false });
        long steps = large ? 1500 : 6000;
        while (world.Steps < steps)
        {
            Assert.That(world.Run(20), Is.True, () => world.Failure!.Value.Text);
            Assert.That(world.Kernel.Mirror!.Compare(), Is.Null, () => $"seed {seed}, step {world.Steps}:\n{world.Recent}");
        }
    }

    [Test]
    public void A_page_is_where_its_entry_says_with_its_rights_and_bytes()
    {
        using HostKernel kernel = Boot();
        AddressSpace process = new(kernel);
        process.MapAt(Base, 4, Rw);
        process.Fault(new Hva(Base), write: true).Run();
        Hva real = Real(process, Base);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(process.Tables.LookupPfn(new Hva(Base), out Pfn frame, out _, out _), Is.True);
            Assert.That(NofaultCopy.TryWrite64(real, 0x1122_3344_5566_7788), Is.True);
            Assert.That(MemoryMarshal.Read<ulong>(kernel.Frames.Bytes(frame)), Is.EqualTo(0x1122_3344_5566_7788));
            Assert.That(NofaultCopy.TryRead64(real + 0x1000, out _), Is.False, "never touched");
        }

        process.Protect(new Hva(Base), 1, VmFlags.Read).Run();
        Assert.That((NofaultCopy.TryRead64(real, out _), NofaultCopy.TryWrite64(real, 0)), Is.EqualTo((true, false)));
        process.Protect(new Hva(Base), 1, VmFlags.None).Run();
        Assert.That(NofaultCopy.TryRead64(real, out _), Is.False);
        process.Protect(new Hva(Base), 1, Rw).Run();
        process.Unmap(new Hva(Base), 1).Run();
        Assert.That(NofaultCopy.TryRead64(real, out _), Is.False);
    }

    [Test]
    public void Taking_a_frame_out_of_the_direct_map_leaves_the_other_mappings_alone()
    {
        using HostKernel kernel = Boot();
        AddressSpace process = new(kernel);
        process.MapAt(Base, 1, Rw | VmFlags.Shared, new SecretFile(kernel, 1));
        process.Fault(new Hva(Base), write: true).Run();
        process.Tables.LookupPfn(new Hva(Base), out Pfn frame, out _, out _);
        Hva direct = kernel.Mirror!.DirectMapAddress(frame);

        Assert.That((NofaultCopy.TryRead64(direct, out _), NofaultCopy.TryRead64(Real(process, Base), out _)), Is.EqualTo((false, true)));
        kernel.DirectMap.BeginUse(frame);
        kernel.DirectMap.BeginUse(frame);
        kernel.DirectMap.EndUse(frame);
        Assert.That(NofaultCopy.TryRead64(direct, out _), Is.True, "one of two uses goes on");
        kernel.DirectMap.EndUse(frame);
        Assert.That(NofaultCopy.TryRead64(direct, out _), Is.False);
        process.Exit().Run();
        Assert.That(NofaultCopy.TryRead64(direct, out _), Is.False, "the file still has the page");
        Assert.That(kernel.Mirror.Compare(), Is.Null);
    }

    [Test]
    public unsafe void A_page_whose_rights_differ_in_fact_is_noticed([Values] bool inProcess)
    {
        using HostKernel kernel = Boot();
        AddressSpace process = new(kernel);
        process.MapAt(Base, 1, Rw | VmFlags.Shared, new SecretFile(kernel, 1));
        process.Fault(new Hva(Base), write: true).Run();
        process.Tables.LookupPfn(new Hva(Base), out Pfn frame, out _, out _);
        Hva page = inProcess ? Real(process, Base) : kernel.Mirror!.DirectMapAddress(frame);
        kernel.DirectMap.BeginUse(frame);
        Assert.That(kernel.Mirror!.Compare(), Is.Null);

        Assert.That(mprotect((void*)page.Value, 4096, 0), Is.Zero);
        Assert.That(kernel.Mirror.Compare(), Does.Contain("can be read by the model, and cannot in fact"));
        Assert.That(mprotect((void*)page.Value, 4096, 1), Is.Zero);
        Assert.That(kernel.Mirror.Compare(), Does.Contain("can be written by the model, and cannot in fact"));
        Assert.That(mprotect((void*)page.Value, 4096, 3), Is.Zero);
        Assert.That(kernel.Mirror.Compare(), Is.Null);
    }

    [Test]
    public void Anonymous_memory_cannot_be_mirrored() =>
        Assert.That(() => new HostKernel(new HostKernelOptions { Mirrored = true, Memory = HostMemoryKind.Anonymous }), Throws.TypeOf<NotSupportedException>());

    [Test]
    public void Nothing_stays_mapped_after_the_host()
    {
        long before = Mappings();
        for (int i = 0; i < 20; i++)
        {
            using HostKernel kernel = Boot();
            for (int n = 0; n < 3; n++)
            {
                AddressSpace process = new(kernel);
                process.MapAt(Base, 8, Rw);
                process.Fault(new Hva(Base), write: true).Run();
            }

            kernel.Processes[0].Exit().Run();
        }

        Assert.That(Mappings() - before, Is.LessThan(20));

        static long Mappings() => File.ReadAllLines("/proc/self/maps").Count(line => line.Contains("guest-memory", StringComparison.Ordinal));
    }

    private static HostKernel Boot(ulong frames = 256) =>
        new(new HostKernelOptions { Frames = frames, Memory = HostMemoryKind.Memfd, Mirrored = true });

    private static Hva Real(AddressSpace process, ulong hva) =>
        RealMirror.Of(process)!.TryTranslate(new Hva(hva), out Hva real) ? real : throw new InvalidOperationException("never mapped");

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int mprotect(void* address, nuint length, int protection);
}
