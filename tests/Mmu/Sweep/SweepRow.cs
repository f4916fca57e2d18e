namespace Quadwalk.Tests;

/// <summary>A row of <see cref="SweepRules"/> over facts, which are bits of a word: it matches where all its cells do.</summary>
internal readonly struct SweepRow
{
    private readonly uint[] anyOf;
    private readonly uint mask;
    private readonly uint value;

    /// <summary>Reads a row.</summary>
    /// <param name="row">Cells, with spaces between.</param>
    /// <param name="columns">For each cell the facts it is about: letters, of which one must be in the cell, with their facts; or one fact.</param>
    public SweepRow(string row, params (string Letters, uint Facts)[] columns)
    {
        string[] cells = row.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (cells.Length != columns.Length)
        {
            throw new FormatException($"The row '{row}' has not {columns.Length} cells.");
        }

        List<uint> sets = [];
        for (int i = 0; i < cells.Length; i++)
        {
            (string letters, uint facts) = columns[i];
            if (letters.Length > 0)
            {
                int shift = System.Numerics.BitOperations.TrailingZeroCount(facts);
                sets.Add(cells[i].Aggregate(0u, (set, letter) => set | (1u << (shift + letters.IndexOf(letter)))));
            }
            else if (cells[i] != "-")
            {
                mask |= facts;
                value |= cells[i] == "1" ? facts : 0;
            }
        }

        anyOf = [.. sets];
    }

    /// <summary>Whether the facts match.</summary>
    public bool Matches(uint facts)
    {
        if ((facts & mask) != value)
        {
            return false;
        }

        foreach (uint set in anyOf)
        {
            if ((facts & set) == 0)
            {
                return false;
            }
        }

        return true;
    }
}
