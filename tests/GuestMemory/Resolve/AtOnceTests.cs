using System.Globalization;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>
/// An operation that is run by itself may do in one piece what its steps do one by one: two hosts with the same history, one of each kind, stay
/// the same in every count and entry.
/// </summary>
[TestFixture]
public sealed class AtOnceTests
{
    private const int Pages = 16;
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    [Test]
    public void A_stage_2_fault_at_once_is_what_its_steps_are([Range(1, 6)] int seed)
    {
        using World calls = new(bySteps: false);
        using World steps = new(bySteps: true);
        Dictionary<StageTwoOutcome, int> outcomes = [];
        Random random = new(seed);
        for (int i = 0; i < 3000; i++)
        {
            int what = random.Next(100);
            int page = random.Next(Pages);
            bool write = random.Next(2) == 0;
            string one = calls.Do(what, page, write, outcomes);
            string other = steps.Do(what, page, write, null);
            Assert.That(one, Is.EqualTo(other), () => string.Create(CultureInfo.InvariantCulture, $"seed {seed}, operation {i}: {what} at {page}"));
            Assert.That(calls.State(), Is.EqualTo(steps.State()), () => string.Create(CultureInfo.InvariantCulture, $"seed {seed}, operation {i}: {what} at {page}, {one}"));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(outcomes.Keys, Is.SupersetOf(new[] { StageTwoOutcome.Fixed, StageTwoOutcome.Fault, StageTwoOutcome.Emulate }));
            Assert.That(calls.FaultsAtOnce, Is.GreaterThan(outcomes[StageTwoOutcome.Fixed] / 4));
            Assert.That(calls.ResolvedAtOnce, Is.GreaterThan(50));
            Assert.That((steps.FaultsAtOnce, steps.ResolvedAtOnce), Is.EqualTo((0, 0)));
        }
    }

    [Test]
    public void What_needs_no_step_is_done_at_once_and_allocates_nothing([Values] bool write)
    {
        using VmCase vm = new(pages: Pages);
        vm.Host.Touch(HostCase.Page(0), write: true);
        // The first one makes room for the translation.
        new StageTwoFault(vm.Vm, VmCase.Gpa(0), write).Run();
        vm.Vm.StageTwo.Zap(VmCase.Gpa(0).Frame, 1);
        FollowPfn request = new(write ? FollFlags.Write : FollFlags.None);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(RunsAtOnce(new StageTwoFault(vm.Vm, VmCase.Gpa(0), write)), Is.True, "zapped");
            Assert.That(RunsAtOnce(new StageTwoFault(vm.Vm, VmCase.Gpa(0), write)), Is.True, "mapped already");
            Assert.That(RunsAtOnce(new PfnResolver(vm.Host.Process, HostCase.Page(0), request)), Is.True, "hva to pfn");
            Assert.That(RunsAtOnce(new StageTwoFault(vm.Vm, VmCase.Gpa(1), write)), Is.False, "absent");
        }
    }

    [Test]
    public void A_mapped_frame_is_resolved_without_allocation()
    {
        using VmCase vm = new(pages: Pages);
        for (int page = 0; page < Pages; page++)
        {
            vm.Host.Touch(HostCase.Page(page));
        }

        Resolve();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            Resolve();
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);

        void Resolve()
        {
            for (int page = 0; page < Pages; page++)
            {
                if (!PfnResolver.TryFast(vm.Host.Process, HostCase.Page(page), FollFlags.Write | FollFlags.Get, out Pfn frame))
                {
                    throw new InvalidOperationException("a touched page");
                }

                vm.Kernel.Folios.Put(frame);
            }
        }
    }

    [Test]
    public void The_fast_way_refuses_what_needs_a_fault_or_is_not_for_GUP_and_changes_nothing()
    {
        using VmCase vm = new(pages: Pages);
        vm.Host.Touch(HostCase.Page(0), write: true);
        vm.Host.Process.MapAt(HostCase.Page(20).Value, 1, Rw | VmFlags.Shared, new SecretFile(vm.Kernel, 1));
        vm.Host.Touch(HostCase.Page(20));
        vm.Host.Process.MapAt(HostCase.Page(21).Value, 1, Rw | VmFlags.PfnMap, new DriverMemory(vm.Kernel, DriverMemory.Allocate(vm.Kernel)));
        vm.Host.Touch(HostCase.Page(21));
        vm.Host.Process.MapAt(HostCase.Page(22).Value, 1, VmFlags.Read | VmFlags.Shared, new MemoryFile(vm.Kernel, 1));
        vm.Host.Touch(HostCase.Page(22), write: false);
        (long, long) counts = (vm.Kernel.Folios.Gets, vm.Kernel.Folios.Puts);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Fast(1, FollFlags.Get), Is.False, "absent");
            Assert.That(Fast(20, FollFlags.Get), Is.False, "secret");
            Assert.That(Fast(21, FollFlags.Get), Is.False, "bare frame number");
            Assert.That(Fast(22, FollFlags.Get | FollFlags.Write), Is.False, "not writable");
            Assert.That((vm.Kernel.Folios.Gets, vm.Kernel.Folios.Puts), Is.EqualTo(counts));
            Assert.That(Fast(22, FollFlags.Get), Is.True);
            Assert.That(Fast(0, FollFlags.Pin | FollFlags.Write), Is.True);
            Assert.That(vm.Frames[vm.Host.FrameAt(HostCase.Page(0))].PinCount, Is.EqualTo(1));
        }

        bool Fast(int page, FollFlags flags) => PfnResolver.TryFast(vm.Host.Process, HostCase.Page(page), flags, out _);
    }

    // A step is yielded by an iterator, which is an object: what allocates nothing had none.
    private static bool RunsAtOnce(HostOperation operation)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        operation.Run();
        return GC.GetAllocatedBytesForCurrentThread() == before;
    }

    private sealed class World : IDisposable
    {
        private readonly bool bySteps;
        private readonly VmCase vm;
        private readonly MemoryFile file;
        private readonly Memslot readOnly;

        public World(bool bySteps)
        {
            this.bySteps = bySteps;
            vm = new VmCase(pages: Pages);
            file = new MemoryFile(vm.Kernel, 4);
            AddressSpace process = vm.Host.Process;
            process.MapAt(HostCase.Page(Pages).Value, 4, Rw | VmFlags.Shared, file);
            process.MapAt(HostCase.Page(Pages + 4).Value, 2, Rw | VmFlags.PfnMap, new DriverMemory(vm.Kernel, DriverMemory.Allocate(vm.Kernel), DriverMemory.Allocate(vm.Kernel)));
            process.MapAt(HostCase.Page(Pages + 6).Value, 2, Rw | VmFlags.Shared, new SecretFile(vm.Kernel, 2));
            vm.Vm.Slots.Add(VmCase.Gpa(Pages), 8 << 12, HostCase.Page(Pages));
            readOnly = vm.Vm.Slots.Add(VmCase.Gpa(64), 4 << 12, HostCase.Page(0), MemslotFlags.ReadOnly);
        }

        /// <summary>How many faults of the second stage took no step.</summary>
        public int FaultsAtOnce { get; private set; }

        /// <summary>How many look-ups of frames took no step.</summary>
        public int ResolvedAtOnce { get; private set; }

        public void Dispose() => vm.Dispose();

        public string Do(int what, int page, bool write, Dictionary<StageTwoOutcome, int>? outcomes)
        {
            AddressSpace process = vm.Host.Process;
            switch (what)
            {
                case < 60:
                    int gfn = what < 35 ? page : what < 52 ? Pages + (page % 8) : what < 57 ? 64 + (page % 4) : 200;
                    StageTwoFault fault = new(vm.Vm, VmCase.Gpa(gfn), write);
                    FaultsAtOnce += Run(fault) ? 1 : 0;
                    if (outcomes is not null)
                    {
                        outcomes[fault.Result] = outcomes.GetValueOrDefault(fault.Result) + 1;
                    }

                    return $"{fault.Result} {fault.Error} {fault.Retries} {fault.InvalidSlot} {fault.NoSlotGeneration} {fault.MemoryFault}";
                case < 68:
                    PfnResolver resolver = new(process, HostCase.Page(page), new FollowPfn(write ? FollFlags.Write : FollFlags.None, Pin: what < 62, MapWritable: what < 65));
                    ResolvedAtOnce += Run(resolver) ? 1 : 0;
                    string found = $"{resolver.Result} {resolver.Writable} {resolver.RefcountedPage} {resolver.SlowLookups}";
                    resolver.Release(dirty: write);
                    return found;
                case < 76:
                    return process.Fault(HostCase.Page(page), write).Run().ToString();
                case < 82:
                    process.Discard(HostCase.Page(page), 2).Run();
                    return "discard";
                case < 88:
                    process.Protect(HostCase.Page(page), 1, write ? Rw : VmFlags.Read).Run();
                    return "protect";
                case < 92:
                    file.Punch((ulong)page % 4, 1).Run();
                    return "punch";
                case < 96:
                    AddressSpace child = process.Fork("child").Run();
                    child.Exit().Run();
                    return "fork";
                default:
                    vm.Vm.StageTwo.Zap(VmCase.Gpa(page).Frame, 1);
                    return "zap";
            }
        }

        /// <summary>Everything that an operation could have changed.</summary>
        public string State()
        {
            IEnumerable<string> frames = Enumerable.Range(0, 256).Select(i => vm.Frames[new Pfn((ulong)i)])
                .Select(frame => string.Create(CultureInfo.InvariantCulture, $"{frame.RefCount}/{frame.MapCount}/{frame.PinCount}/{frame.Flags:x}"));
            IEnumerable<string> entries = vm.Vm.StageTwo.Entries.OrderBy(pair => pair.First.Value).Select(pair => pair.ToString());
            string counts = string.Create(
                CultureInfo.InvariantCulture,
                $"{vm.Kernel.Folios.Gets} {vm.Kernel.Folios.Puts} {vm.Vm.StageTwo.Installs} {vm.Vm.StageTwo.Zaps} {vm.Vm.Flushes} {vm.Kernel.Allocator.FreeFrames} {vm.Kernel.Log.Count} {readOnly.IsWritable}");
            return $"{counts}\n{string.Join(' ', frames)}\n{string.Join('\n', entries)}";
        }

        // Whether it took no step.
        private bool Run(HostOperation operation)
        {
            if (!bySteps)
            {
                return RunsAtOnce(operation);
            }

            Actor actor = new("one", operation);
            while (!actor.IsDone)
            {
                actor.Go();
            }

            return false;
        }
    }
}
