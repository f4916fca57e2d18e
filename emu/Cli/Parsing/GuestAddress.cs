using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Reads a guest-virtual address: a number, or a symbol of the image with or without an offset.</summary>
internal static class GuestAddress
{
    /// <exception cref="CommandException">The text names no address.</exception>
    public static Gva Parse(string text, SymbolTable symbols)
    {
        if (Number.TryParse(text, out ulong value))
        {
            return new Gva(value);
        }

        if (text.Length == 0 || char.IsAsciiDigit(text[0]))
        {
            throw CommandException.Usage($"--at '{text}' is no address: give a number up to 64 bits like 0xffff888000000000, or a symbol like _start+0x10");
        }

        if (symbols.TryFind(text, out Symbol symbol))
        {
            return symbol.Address;
        }

        int plus = text.LastIndexOf('+');
        if (plus > 0 && Number.TryParse(text.AsSpan(plus + 1), out ulong offset) && symbols.TryFind(text[..plus], out symbol))
        {
            return symbol.Address + offset;
        }

        string hint = symbols.Count == 0 ? "the image has no symbols, so give a number" : "`nm IMAGE` lists the symbols";
        throw CommandException.Usage($"--at '{text}' is no symbol of the image: {hint}");
    }

    /// <summary>The address, with the symbol it lies in: <c>0x401004 (_start+0x4)</c>.</summary>
    public static string Describe(Gva address, SymbolTable symbols) =>
        symbols.TryResolve(address, out SymbolLocation location) ? $"{address} ({location})" : address.ToString();
}
