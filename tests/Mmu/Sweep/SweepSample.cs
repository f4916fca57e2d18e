namespace Quadwalk.Tests;

/// <summary>Random states of a sweep, the same for the same seed.</summary>
internal static class SweepSample
{
    /// <summary>Shows a visitor random states.</summary>
    /// <param name="sweep">The sweep.</param>
    /// <param name="visitor">Is shown the states.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">What they follow from.</param>
    /// <param name="plain">In how many of 64 cases an axis keeps its first value in every other state, so that a walk over many entries gets far.</param>
    public static void Run<TVisitor>(Sweep sweep, TVisitor visitor, int count, ulong seed, int plain = 0)
        where TVisitor : class, ISweepVisitor
    {
        int[] choice = new int[sweep.Axes.Length];
        ulong random = seed | 1;
        while (count > 0)
        {
            if (TryChoose(sweep, choice, ref random, count % 2 == 0 ? plain : 0, out SweepWords words))
            {
                visitor.Visit(words, choice);
                count--;
            }
        }
    }

    /// <summary>A value an axis, drawn; where it is excluded, the next that is not. False when there is none left.</summary>
    private static bool TryChoose(Sweep sweep, int[] choice, ref ulong random, int plain, out SweepWords words)
    {
        words = sweep.Start;
        for (int axis = 0; axis < choice.Length; axis++)
        {
            Axis varied = sweep.Axes[axis];
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            int value = (int)((random >> 8) % 64) < plain ? 0 : (int)(((random >> 32) * (ulong)varied.Count) >> 32);
            int tried = 0;
            while (sweep.IsExcluded(choice, axis, value))
            {
                if (++tried == varied.Count)
                {
                    return false;
                }

                value = value + 1 == varied.Count ? 0 : value + 1;
            }

            choice[axis] = value;
            SweepWords.Flip(words, varied.Effect(value), out words);
        }

        return true;
    }
}
