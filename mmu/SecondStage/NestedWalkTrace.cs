using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Records every entry of a two-dimensional walk in the order of their reading. Watch a walk with <see cref="Observer"/>.</summary>
public sealed class NestedWalkTrace
{
    private readonly List<NestedWalkStep> steps = [];
    private SecondStagePurpose purpose;
    private int translating;

    /// <summary>The entries read, those of attempts that were given up included.</summary>
    public IReadOnlyList<NestedWalkStep> Steps => steps;

    /// <summary>How many entries had a flag set.</summary>
    public int EntriesUpdated { get; private set; }

    /// <summary>An observer that records here. It allocates as the record grows.</summary>
    public Recorder Observer => new(this);

    /// <summary>Forgets the record.</summary>
    public void Clear()
    {
        steps.Clear();
        (translating, EntriesUpdated) = (0, 0);
    }

    /// <summary>Records into its trace.</summary>
    public readonly struct Recorder(NestedWalkTrace trace) : INestedWalkObserver
    {
        /// <inheritdoc/>
        public static bool Enabled => true;

        /// <inheritdoc/>
        public void OnTranslate(Gpa gpa, SecondStagePurpose purpose)
        {
            trace.purpose = purpose;
            trace.translating = trace.steps.Count;
        }

        /// <inheritdoc/>
        public void OnSecondStageEntry(int level, Hpa entry, ulong value) =>
            trace.steps.Add(new NestedWalkStep(false, level, 0, trace.purpose, entry.Value, value, value));

        /// <inheritdoc/>
        public void OnSecondStageUpdate(int level, Hpa entry, ulong before, ulong after) => trace.Update(false, entry.Value, after);

        /// <inheritdoc/>
        public void OnGuestEntry(int level, Gpa entry, PageTableEntry value)
        {
            trace.Label(level);
            trace.steps.Add(new NestedWalkStep(true, level, level, SecondStagePurpose.GuestTable, entry.Value, value.Raw, value.Raw));
        }

        /// <inheritdoc/>
        public void OnGuestUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) => trace.Update(true, entry.Value, after.Raw);

        /// <inheritdoc/>
        public void OnEnd(in NestedWalkResult result)
        {
            if (!result.Succeeded && result.Access.Purpose != SecondStagePurpose.FinalAddress)
            {
                trace.Label(result.Guest.Level);
            }
        }
    }

    /// <summary>The entries of the second stage since its last beginning were for a guest entry of this level.</summary>
    private void Label(int guestLevel)
    {
        for (int i = translating; i < steps.Count; i++)
        {
            steps[i] = steps[i].IsGuest ? steps[i] : steps[i] with { GuestLevel = guestLevel };
        }

        translating = steps.Count;
    }

    private void Update(bool guest, ulong address, ulong after)
    {
        EntriesUpdated++;
        for (int i = 0; i < steps.Count; i++)
        {
            if (steps[i].IsGuest == guest && steps[i].Address == address)
            {
                steps[i] = steps[i] with { After = after };
            }
        }
    }
}
