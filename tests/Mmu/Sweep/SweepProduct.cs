namespace Quadwalk.Tests;

/// <summary>Every state of a sweep, on all processors.</summary>
internal static class SweepProduct
{
    private const int LeastParts = 512;

    /// <summary>Shows every state once to one of the visitors, of which there is one a processor.</summary>
    /// <returns>The visitors.</returns>
    public static IReadOnlyList<TVisitor> Run<TVisitor>(Sweep sweep, Func<TVisitor> newVisitor)
        where TVisitor : class, ISweepVisitor
    {
        List<int[]> parts = Parts(sweep, out int depth);
        return SweepWorkers.Run(parts.Count, newVisitor, (visitor, part) =>
        {
            SweepWords words = sweep.Start;
            for (int axis = 0; axis < depth; axis++)
            {
                SweepWords.Flip(words, sweep.Axes[axis].Effect(parts[part][axis]), out words);
            }

            Descend(sweep, visitor, depth, words, parts[part]);
        });
    }

    private static void Descend<TVisitor>(Sweep sweep, TVisitor visitor, int axis, in SweepWords words, int[] choice)
        where TVisitor : class, ISweepVisitor
    {
        if (axis == choice.Length)
        {
            visitor.Visit(words, choice);
            return;
        }

        Axis varied = sweep.Axes[axis];
        for (int value = 0; value < varied.Count; value++)
        {
            if (!sweep.IsExcluded(choice, axis, value))
            {
                choice[axis] = value;
                SweepWords.Flip(words, varied.Effect(value), out SweepWords changed);
                Descend(sweep, visitor, axis + 1, changed, choice);
            }
        }

        choice[axis] = -1;
    }

    /// <summary>The legal values of the first axes, as many as make enough parts to share out.</summary>
    private static List<int[]> Parts(Sweep sweep, out int depth)
    {
        int[] none = new int[sweep.Axes.Length];
        Array.Fill(none, -1);
        List<int[]> parts = [none];
        for (depth = 0; depth < none.Length && parts.Count < LeastParts; depth++)
        {
            List<int[]> longer = [];
            foreach (int[] part in parts)
            {
                for (int value = 0; value < sweep.Axes[depth].Count; value++)
                {
                    if (!sweep.IsExcluded(part, depth, value))
                    {
                        int[] next = [.. part];
                        next[depth] = value;
                        longer.Add(next);
                    }
                }
            }

            parts = longer;
        }

        return parts;
    }
}
