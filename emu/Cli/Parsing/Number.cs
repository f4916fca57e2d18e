using System.Globalization;

namespace Quadwalk.Cli;

/// <summary>Reads numbers as people write them: <c>4096</c>, <c>0x1000</c>, <c>1_000_000</c>, <c>64M</c>, <c>1.5G</c>.</summary>
internal static class Number
{
    /// <summary>What a letter stands for in a count of things: 1k = 1000.</summary>
    public const uint Thousand = 1000;

    /// <summary>What a letter stands for in a number of bytes: 1K = 1024.</summary>
    public const uint Kibi = 1024;

    private const string Letters = "KMGT";

    /// <summary>Reads a decimal or 0x number.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ulong value)
    {
        value = 0;
        if (!TryStrip(text, out string digits))
        {
            return false;
        }

        return digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Reads a number, or a decimal fraction with one of the letters k, M, G, T after it that makes it whole.</summary>
    /// <param name="text">The text.</param>
    /// <param name="unit"><see cref="Thousand"/> or <see cref="Kibi"/>.</param>
    /// <param name="value">The number.</param>
    public static bool TryParseScaled(string text, uint unit, out ulong value)
    {
        if (TryParse(text, out value))
        {
            return true;
        }

        string head = unit == Kibi && text.EndsWith("iB", StringComparison.Ordinal) ? text[..^2] : text;
        int power = head.Length == 0 ? -1 : Letters.IndexOf(char.ToUpperInvariant(head[^1]), StringComparison.Ordinal);
        if (power < 0 || !TryStrip(head.AsSpan(0, head.Length - 1), out string digits)
            || !decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number))
        {
            return false;
        }

        for (int i = 0; i <= power && number <= ulong.MaxValue; i++)
        {
            number *= unit;
        }

        if (number > ulong.MaxValue || number != decimal.Truncate(number))
        {
            return false;
        }

        value = (ulong)number;
        return true;
    }

    private static bool TryStrip(ReadOnlySpan<char> text, out string digits)
    {
        digits = text.ToString().Replace("_", "", StringComparison.Ordinal);
        return digits.Length != 0 && text[0] != '_' && text[^1] != '_';
    }
}
