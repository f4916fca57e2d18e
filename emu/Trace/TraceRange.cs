using System.Globalization;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A range of instruction addresses.</summary>
/// <param name="First">The first address in the range.</param>
/// <param name="Last">The last address in the range.</param>
public readonly record struct TraceRange(Gva First, Gva Last)
{
    /// <summary>Every address.</summary>
    public static TraceRange All => new(new Gva(0), new Gva(ulong.MaxValue));

    /// <summary>Whether an address lies in the range.</summary>
    public bool Contains(Gva address) => address.Value - First.Value <= Last.Value - First.Value;

    /// <summary>
    /// Parses <c>A-B</c>, from A up to but not including B, or the name of a symbol that has a size, for all of it. A and B are
    /// addresses as <see cref="TryParseAddress"/> takes them.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="symbols">The names that may be used.</param>
    /// <param name="range">The range.</param>
    /// <param name="error">What is wrong with the text, or null.</param>
    public static bool TryParse(string text, SymbolTable symbols, out TraceRange range, out string? error)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(symbols);
        range = default;
        if (text.Length != 0 && symbols.TryFind(text, out Symbol whole))
        {
            error = whole.Size == 0 ? $"'{text}' has no size in the image: give an end, as in {text}-{text}+0x40" : null;
            range = new TraceRange(whole.Address, new Gva(whole.Address.Value + (whole.Size - 1)));
            return error is null;
        }

        int dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash < 0)
        {
            error = $"'{text}' is no range: expected A-B or the name of a function";
            return false;
        }

        if (!TryParseAddress(text[..dash], symbols, out Gva first, out error)
            || !TryParseAddress(text[(dash + 1)..], symbols, out Gva end, out error))
        {
            return false;
        }

        return TryBetween(first, end, out range, out error);
    }

    /// <summary>Makes the range from <paramref name="first"/> up to but not including <paramref name="end"/>, which must lie above.</summary>
    public static bool TryBetween(Gva first, Gva end, out TraceRange range, out string? error)
    {
        bool ascending = first.Value < end.Value;
        range = ascending ? new TraceRange(first, new Gva(end.Value - 1)) : default;
        error = ascending ? null : $"the range from {first} to {end} is empty";
        return ascending;
    }

    /// <summary>Parses a hexadecimal number with 0x, a decimal one, or a symbol, with <c>+OFFSET</c> or without.</summary>
    /// <param name="text">The text.</param>
    /// <param name="symbols">The names that may be used.</param>
    /// <param name="address">The address.</param>
    /// <param name="error">What is wrong with the text, or null.</param>
    public static bool TryParseAddress(string text, SymbolTable symbols, out Gva address, out string? error)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(symbols);
        int plus = text.LastIndexOf('+');
        string name = plus < 0 ? text : text[..plus];
        ulong offset = 0;
        if (plus >= 0 && !TryParseNumber(text[(plus + 1)..], out offset))
        {
            address = default;
            error = $"'{text[(plus + 1)..]}' is no offset: expected a number such as 0x1c or 28";
            return false;
        }

        if (!TryParseNumber(name, out ulong value))
        {
            if (name.Length == 0 || !symbols.TryFind(name, out Symbol symbol))
            {
                address = default;
                error = $"'{name}' is neither a number such as 0x401000 nor a symbol of the image";
                return false;
            }

            value = symbol.Address.Value;
        }

        address = new Gva(value + offset);
        error = null;
        return true;
    }

    private static bool TryParseNumber(string text, out ulong value) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
