using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>One of the rules P1 to P18 of host memory, as something that can be looked at while a random world runs.</summary>
internal abstract class Invariant(int number, string sentence)
{
    /// <summary>18 for P18.</summary>
    public int Number => number;

    /// <summary>The rule.</summary>
    public string Sentence => sentence;

    /// <summary>One of each, without what an earlier world has left in them.</summary>
    public static IEnumerable<Invariant> All() =>
    [
        new NoOldPage(), new NothingBecomesValid(), new SequenceFirst(), new CountsAddUp(), new NeverCounted(), new PinnedStays(),
        new PrivateIsAlone(), new OutOfTheDirectMap(), new FastAsSlow(), new LevelIsBounded(), new WritableIsAllowed(), new ListedOutcomes(),
        new FlushedWhenRemoved(), new DepthIsExposure(), new CacheIsCurrent(), new WindowIsFlushed(), new NoSlotNoEntry(), new PathsAgree(),
    ];

    /// <summary>Looks after each step, at little; says what is wrong, or null.</summary>
    public virtual string? AfterStep(RandomWorld world) => null;

    /// <summary>Looks at all when nothing is going on; says what is wrong, or null.</summary>
    public virtual string? AtRest(RandomWorld world) => null;

    public override string ToString() => $"P{Number}: {Sentence}";

    /// <summary>Whether the last step made a translation of the second stage, and which.</summary>
    protected static bool IsNew(RandomWorld world, long[] installs, out WorldMachine machine, out StageTwoEntry entry, out Pfn frame)
    {
        machine = world.Machines[0];
        (entry, frame) = (default, default);
        if (world.LastTask is not { Kind: WorldOp.GuestFault or WorldOp.GuestRun, Machine: WorldMachine filled })
        {
            return false;
        }

        machine = filled;
        ref long last = ref installs[world.Machines.IndexOf(machine)];
        bool made = machine.Vm.StageTwo.Installs != last;
        last = machine.Vm.StageTwo.Installs;
        return made && machine.Vm.StageTwo.TryFind(world.LastTask.Gfn, out entry, out frame);
    }
}
