namespace Quadwalk.Tests;

/// <summary>
/// States of a sweep in which every two values of two axes meet that can meet at all. Each row starts from a pair not yet met, and takes
/// for every other axis a value that makes the most new pairs.
/// </summary>
internal sealed class SweepPairs
{
    private readonly Sweep sweep;
    private readonly int[] first;
    private readonly bool[,] met;
    private readonly Random random = new(1);

    public SweepPairs(Sweep sweep)
    {
        this.sweep = sweep;
        first = new int[sweep.Axes.Length + 1];
        for (int axis = 0; axis < sweep.Axes.Length; axis++)
        {
            first[axis + 1] = first[axis] + sweep.Axes[axis].Count;
        }

        met = new bool[first[^1], first[^1]];
        Fill();
    }

    /// <summary>The rows, each a value an axis.</summary>
    public List<int[]> Rows { get; } = [];

    /// <summary>Pairs that no state has, as axis and value twice.</summary>
    public List<(int Axis, int Value, int OtherAxis, int OtherValue)> Impossible { get; } = [];

    public void Run<TVisitor>(TVisitor visitor)
        where TVisitor : class, ISweepVisitor
    {
        foreach (int[] row in Rows)
        {
            visitor.Visit(sweep.StateOf(row), row);
        }
    }

    /// <summary>Stops after the first row at which <paramref name="isDone"/>; false if it never is.</summary>
    public bool RunUntil<TVisitor>(TVisitor visitor, Func<bool> isDone)
        where TVisitor : class, ISweepVisitor
    {
        foreach (int[] row in Rows)
        {
            visitor.Visit(sweep.StateOf(row), row);
            if (isDone())
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether some state has the chosen values; -1 is none. Decides by search.</summary>
    public static bool IsPossible(Sweep sweep, int[] chosen)
    {
        int[] choice = [.. chosen];
        return !sweep.IsExcluded(choice) && Complete(0);

        bool Complete(int axis)
        {
            if (axis == choice.Length)
            {
                return true;
            }

            if (choice[axis] >= 0)
            {
                return Complete(axis + 1);
            }

            for (int value = 0; value < sweep.Axes[axis].Count; value++)
            {
                choice[axis] = value;
                if (!sweep.IsExcluded(choice) && Complete(axis + 1))
                {
                    return true;
                }
            }

            choice[axis] = -1;
            return false;
        }
    }

    private void Fill()
    {
        for (int a = 0; a < sweep.Axes.Length; a++)
        {
            for (int b = a + 1; b < sweep.Axes.Length; b++)
            {
                for (int value = 0; value < sweep.Axes[a].Count; value++)
                {
                    for (int other = 0; other < sweep.Axes[b].Count; other++)
                    {
                        if (!met[first[a] + value, first[b] + other] && !TryAddRow(a, value, b, other))
                        {
                            Impossible.Add((a, value, b, other));
                        }
                    }
                }
            }
        }
    }

    private bool TryAddRow(int a, int value, int b, int other)
    {
        int[] row = new int[sweep.Axes.Length];
        for (int attempt = 0; attempt < 20; attempt++)
        {
            Array.Fill(row, -1);
            (row[a], row[b]) = (value, other);
            if (sweep.IsExcluded(row))
            {
                return false;
            }

            int[] order = [.. Enumerable.Range(0, row.Length).Where(axis => axis != a && axis != b)];
            random.Shuffle(order);
            if (Array.TrueForAll(order, axis => TryChoose(row, axis)))
            {
                Add(row);
                return true;
            }
        }

        Array.Fill(row, -1);
        (row[a], row[b]) = (value, other);
        return IsPossible(sweep, row) ? throw new InvalidOperationException($"{sweep.Name}: no row was found for a pair that can be.") : false;
    }

    private bool TryChoose(int[] row, int axis)
    {
        int best = -1, most = -1;
        int from = random.Next(sweep.Axes[axis].Count);
        for (int i = 0; i < sweep.Axes[axis].Count; i++)
        {
            int value = (from + i) % sweep.Axes[axis].Count;
            row[axis] = value;
            int gained = Gained(row, axis, first[axis] + value);
            if (gained > most && !sweep.IsExcluded(row))
            {
                (best, most) = (value, gained);
            }
        }

        row[axis] = best;
        return best >= 0;
    }

    private int Gained(int[] row, int axis, int literal)
    {
        int gained = 0;
        for (int other = 0; other < row.Length; other++)
        {
            gained += other != axis && row[other] >= 0 && !met[literal, first[other] + row[other]] ? 1 : 0;
        }

        return gained;
    }

    private void Add(int[] row)
    {
        Rows.Add(row);
        for (int a = 0; a < row.Length; a++)
        {
            for (int b = 0; b < row.Length; b++)
            {
                met[first[a] + row[a], first[b] + row[b]] = true;
            }
        }
    }
}
