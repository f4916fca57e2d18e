using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Records a walk level by level, without allocating. A walk that starts again keeps its last attempt and counts the others.</summary>
public struct WalkTrace : IWalkObserver
{
    private StepBuffer steps;
    private int count;

    /// <inheritdoc/>
    public static bool Enabled => true;

    /// <summary>The levels read, from the root down.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<WalkStep> Steps => ((ReadOnlySpan<WalkStep>)steps)[..count];

    /// <summary>How many entries were read, including those of attempts that were given up.</summary>
    public int EntriesRead { get; private set; }

    /// <summary>How many entries had a flag set, including those of attempts that were given up.</summary>
    public int EntriesUpdated { get; private set; }

    /// <summary>How often the walk started again because an entry changed under it.</summary>
    public int Restarts { get; private set; }

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value)
    {
        PageRights rights = PageRights.User | PageRights.Write;
        if (count > 0 && level < steps[count - 1].Level)
        {
            rights = steps[count - 1].Rights;
        }
        else if (count > 0)
        {
            count = 0;
            Restarts++;
        }

        // Only a walk of PAE paging begins at level 3, and its PDPTEs have no R/W, U/S and NX (SDM Vol. 3A, table 5-8).
        if (count > 0 || level != 3)
        {
            rights &= value.US ? rights : ~PageRights.User;
            rights &= value.RW ? rights : ~PageRights.Write;
            rights |= value.NX ? PageRights.NoExecute : PageRights.None;
        }

        steps[count++] = new WalkStep(level, entry, value, value, rights);
        EntriesRead++;
    }

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
        EntriesUpdated++;
        for (int i = 0; i < count; i++)
        {
            if (steps[i].Level == level)
            {
                steps[i] = steps[i] with { After = after };
            }
        }
    }

    [InlineArray(FiveLevelFormat.TopLevel)]
    private struct StepBuffer
    {
        private WalkStep first;
    }
}
