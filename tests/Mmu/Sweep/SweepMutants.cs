namespace Quadwalk.Tests;

/// <summary>
/// <see cref="SweepRules"/> made wrong in one place each: a row left out, a cell that no longer matters, a letter of a set left out.
/// </summary>
internal static class SweepMutants
{
    public static IEnumerable<(string Name, SweepRules Rules)> All()
    {
        SweepRules sdm = SweepRules.Sdm;
        return
        [
            .. Rows("rights", sdm.Rights, row => row.Row, (row, text) => row with { Row = text }, 2, 0).Select(m => (m.Name, sdm with { Rights = m.Rows })),
            .. Rows("keys", sdm.Keys, row => row, (_, text) => text, 2, 0).Select(m => (m.Name, sdm with { Keys = m.Rows })),
            .. Rows("codes", sdm.Codes, row => row.Row, (row, text) => row with { Row = text }, 3, 0).Select(m => (m.Name, sdm with { Codes = m.Rows })),
            .. Rows("flags", sdm.Flags, row => row.Row, (row, text) => row with { Row = text }, 1, 0).Select(m => (m.Name, sdm with { Flags = m.Rows })),
            .. Rows("reserved", sdm.Reserved, row => row, (_, text) => text, 2, 3).Select(m => (m.Name, sdm with { Reserved = m.Rows })),
            .. Rows("pages", sdm.Pages[..3], row => row, (_, text) => text, 0, 2).Select(m => (m.Name, sdm with { Pages = [.. m.Rows, .. sdm.Pages[3..]] })),
            .. Rows("canonical", sdm.Canonical[..^1], row => row.Row, (row, text) => row with { Row = text }, 0, 0)
                .Select(m => (m.Name, sdm with { Canonical = [.. m.Rows, sdm.Canonical[^1]] })),
        ];
    }

    /// <summary>The first cells are sets of letters, those from <paramref name="bits"/> on (or after the sets) are 1, 0 or -.</summary>
    private static IEnumerable<(string Name, T[] Rows)> Rows<T>(string table, T[] rows, Func<T, string> textOf, Func<T, string, T> withText, int sets, int bits)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            string text = textOf(rows[i]);
            yield return ($"{table}: '{text}' left out", [.. rows[..i], .. rows[(i + 1)..]]);
            string[] cells = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            for (int cell = 0; cell < cells.Length; cell++)
            {
                string was = cells[cell];
                string[] others = cell < sets ? (was.Length == 1 ? [] : [.. was.Select(letter => was.Replace(letter.ToString(), ""))])
                    : cell >= Math.Max(bits, sets) && was is "0" or "1" ? ["-"]
                    : [];
                foreach (string other in others)
                {
                    cells[cell] = other;
                    string changed = string.Join(' ', cells);
                    yield return ($"{table}: '{text}' as '{changed}'", [.. rows[..i], withText(rows[i], changed), .. rows[(i + 1)..]]);
                }

                cells[cell] = was;
            }
        }
    }
}
