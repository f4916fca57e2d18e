using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>A named group of opcodes with legacy encodings in 64-bit mode.</summary>
public sealed record InstructionFamily(string Name, IReadOnlyList<Code> Codes)
{
    public override string ToString() => Name;
}
