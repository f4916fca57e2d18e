using System.Collections.Immutable;
using System.Text;

namespace Quadwalk.Tests;

/// <summary>
/// A set of walks as data: a state to start from, the axes that vary it, and the combinations of values that are left out. Its states are all
/// combinations of one value an axis of which no left-out combination is a part.
/// </summary>
internal sealed class Sweep
{
    private readonly SweepWords start;
    private readonly ImmutableArray<Axis> axes;

    // By the last axis of a combination and its value: the other values, each as axis and value.
    private readonly (int Axis, int Value)[][][][] excluded;
    private readonly bool[] constrained;

    public Sweep(string name, in SweepWords start, ImmutableArray<Axis> axes, IEnumerable<(int Axis, int Value)[]> exclusions)
    {
        (Name, this.start, this.axes) = (name, start, axes);
        constrained = new bool[this.axes.Length];
        List<(int, int)[]>[][] lists = [.. axes.Select(axis => axis.Values.Select(_ => new List<(int, int)[]>()).ToArray())];
        foreach ((int Axis, int Value)[] exclusion in exclusions)
        {
            (int Axis, int Value) last = exclusion.MaxBy(value => value.Axis);
            lists[last.Axis][last.Value].Add([.. exclusion.Where(value => value.Axis != last.Axis)]);
            foreach ((int axis, _) in exclusion)
            {
                constrained[axis] = true;
            }
        }

        excluded = [.. lists.Select(values => values.Select(list => list.ToArray()).ToArray())];
        States = CountStates();
    }

    public string Name { get; }

    /// <summary>How many states there are.</summary>
    public long States { get; }

    public ImmutableArray<Axis> Axes => axes;

    public ref readonly SweepWords Start => ref start;

    /// <summary>Whether a value of an axis makes a combination that is left out with the values of the axes before it; -1 is none.</summary>
    public bool IsExcluded(ReadOnlySpan<int> choice, int axis, int value)
    {
        foreach ((int Axis, int Value)[] others in excluded[axis][value])
        {
            bool all = true;
            foreach ((int other, int with) in others)
            {
                all &= choice[other] == with;
            }

            if (all)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether the values chosen so far, -1 being none, make a combination that is left out.</summary>
    public bool IsExcluded(ReadOnlySpan<int> choice)
    {
        for (int axis = 0; axis < axes.Length; axis++)
        {
            if (choice[axis] >= 0 && IsExcluded(choice, axis, choice[axis]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The state of a choice of one value an axis.</summary>
    public SweepWords StateOf(ReadOnlySpan<int> choice)
    {
        SweepWords words = start;
        for (int axis = 0; axis < axes.Length; axis++)
        {
            SweepWords.Flip(words, axes[axis].Effect(choice[axis]), out words);
        }

        return words;
    }

    /// <summary>A choice in words.</summary>
    public string Describe(ReadOnlySpan<int> choice)
    {
        StringBuilder text = new();
        for (int axis = 0; axis < axes.Length; axis++)
        {
            text.Append(axis == 0 ? "" : ", ").Append(axes[axis].Name).Append('=').Append(axes[axis].Values[choice[axis]]);
        }

        return text.ToString();
    }

    // Axes that no exclusion names multiply; the others are counted out.
    private long CountStates()
    {
        int[] choice = new int[axes.Length];
        Array.Fill(choice, -1);
        return Count(0);

        long Count(int axis)
        {
            if (axis == axes.Length)
            {
                return 1;
            }

            if (!constrained[axis])
            {
                return axes[axis].Count * Count(axis + 1);
            }

            long states = 0;
            for (int value = 0; value < axes[axis].Count; value++)
            {
                if (!IsExcluded(choice, axis, value))
                {
                    choice[axis] = value;
                    states += Count(axis + 1);
                }
            }

            choice[axis] = -1;
            return states;
        }
    }
}
