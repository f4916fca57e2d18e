using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>The addresses that <c>quadwalk mem --at</c> asks for.</summary>
/// <param name="Range">The addresses.</param>
/// <param name="IsPoint">One address was given: everything that it lies in is meant.</param>
/// <param name="Text">What was given.</param>
internal sealed record MemWindow(GvaRange Range, bool IsPoint, string Text)
{
    /// <exception cref="CommandException">The text names no addresses.</exception>
    public static MemWindow Parse(string text, SymbolTable symbols)
    {
        if (symbols.TryFind(text, out Symbol symbol))
        {
            return symbol.Size == 0 ? Point(symbol.Address, text) : new(new(symbol.Address, symbol.Address + (symbol.Size - 1)), false, text);
        }

        int dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash < 0)
        {
            return Point(GuestAddress.Parse(text, symbols), text);
        }

        Gva first = GuestAddress.Parse(text[..dash], symbols);
        if (dash == text.Length - 1)
        {
            return new(new(first, new Gva(ulong.MaxValue)), false, text);
        }

        Gva end = GuestAddress.Parse(text[(dash + 1)..], symbols);
        return end.Value > first.Value
            ? new(new(first, new Gva(end.Value - 1)), false, text)
            : throw CommandException.Usage($"--at {text} is empty: give A-B with A below B");
    }

    /// <summary>The part of it that exists in an address space.</summary>
    /// <exception cref="CommandException">One of its ends does not.</exception>
    public GvaRange Within(AddressSpaceMap map)
    {
        Gva last = Range.Last.Value == ulong.MaxValue ? map.Halves[^1].Last : Range.Last;
        if (map.Halves.Any(half => half.Contains(Range.First)) && map.Halves.Any(half => half.Contains(last)))
        {
            return new(Range.First, last);
        }

        GvaRange low = map.Halves[0];
        throw CommandException.Usage(map.Halves.Count == 1
            ? $"--at {Text} reaches beyond {low.Last}, where linear addresses end in this paging mode"
            : $"--at {Text} is not a range of canonical addresses: give one up to {low.Last} or from {map.Halves[1].First} on");
    }

    private static MemWindow Point(Gva address, string text) => new(new(address, address), true, text);
}
