namespace Quadwalk.Cli;

/// <summary>The names that somebody may have meant by one that there is not.</summary>
internal static class NearestNames
{
    /// <summary>Those with few letters to change, and those that it is a part of; the nearest first.</summary>
    public static string[] Of(string wrong, IReadOnlyList<string> names, int most)
    {
        IEnumerable<string> near =
            from name in names
            let distance = Contains(name) ? 0 : Distance(wrong, name)
            where distance <= Math.Max(2, wrong.Length / 3)
            orderby distance, name.Length
            select name;
        return [.. near.Take(most)];

        bool Contains(string name) => wrong.Length > 2 && name.Contains(wrong, StringComparison.OrdinalIgnoreCase);
    }

    // Levenshtein's: letters to insert, drop or replace.
    private static int Distance(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)];
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (char.ToLowerInvariant(from[i - 1]) == char.ToLowerInvariant(to[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
