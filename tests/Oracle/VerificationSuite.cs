using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>How a suite's opcodes are run.</summary>
public enum SuiteKind
{
    /// <summary>What falls through to the next instruction.</summary>
    Straight,

    /// <summary>As <see cref="Straight"/>, on states of the x87 unit.</summary>
    X87,

    /// <summary>Near jumps, calls and returns.</summary>
    Branch,
}

/// <summary>Opcodes that <see cref="HostAgreementTests"/> compares with the host's processor.</summary>
/// <param name="Name">Short, lower case.</param>
/// <param name="Kind">How they are run.</param>
/// <param name="Codes">The opcodes, none of which is in another suite.</param>
public sealed record VerificationSuite(string Name, SuiteKind Kind, IReadOnlyList<Code> Codes)
{
    /// <summary>States that every run of the tests compares for each opcode and shape: once with operands in memory, once without.</summary>
    public const int CasesPerShape = 1_000;

    /// <summary>States that a full run compares for each opcode, divided among its shapes.</summary>
    public const int FullCasesPerCode = 100_000;

    public override string ToString() => Name;
}
