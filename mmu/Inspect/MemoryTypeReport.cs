using System.Globalization;
using System.Numerics;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The memory type of a page in words: the type, the registers and entries it comes from, and what is wrong with a large page.</summary>
/// <param name="Type">The mnemonic of the effective type at the byte asked for.</param>
/// <param name="Derivation">Where it comes from: <c>PAT entry 0 (WB), MTRR default (WB)</c>.</param>
/// <param name="Warning">What the SDM leaves undefined about it; null if nothing.</param>
public sealed record MemoryTypeReport(string Type, string Derivation, string? Warning = null)
{
    private const int BytesOfFixed64K = 0x1_0000, BytesOfFixed16K = 0x4000, BytesOfFixed4K = 0x1000;

    /// <summary>Reports on the page that a walk has found.</summary>
    /// <param name="typing">The processor's state.</param>
    /// <param name="walk">A walk that succeeded.</param>
    public static MemoryTypeReport Of(MemoryTyping typing, in WalkResult walk)
    {
        ArgumentNullException.ThrowIfNull(typing);
        MemoryTypeDecision decision = typing.OfPage(walk);
        return new MemoryTypeReport(
            MemoryTypeEncoding.Name(decision.Type), Describe(decision, walk.Gpa), Warn(decision, typing.Ranges.TypesIn(walk.Gpa, walk.PageShift)));
    }

    /// <summary>What a type was made from, in one line.</summary>
    /// <param name="decision">The type.</param>
    /// <param name="address">The physical address of the access, by which a fixed range is named.</param>
    public static string Describe(in MemoryTypeDecision decision, Gpa address) => decision.Cause switch
    {
        MemoryTypeCause.CacheDisabled => "CR0.CD is 1",
        MemoryTypeCause.PatAndMtrr => $"{Pat(decision.Pat)}, {Mtrr(decision.Mtrr, address)}",
        MemoryTypeCause.FlagsAndMtrr when decision.Pat.Source == PatSource.NoPaging => $"no paging, {Mtrr(decision.Mtrr, address)}",
        MemoryTypeCause.FlagsAndMtrr => $"PCD {(decision.Pat.PCD ? 1 : 0)}, PWT {(decision.Pat.PWT ? 1 : 0)}, {Mtrr(decision.Mtrr, address)}",
        MemoryTypeCause.PatAndEpt => $"{Pat(decision.Pat)}, EPT entry ({MemoryTypeEncoding.Name(decision.Ept)})",
        MemoryTypeCause.EptAlone => $"EPT entry ({MemoryTypeEncoding.Name(decision.Ept)}), which ignores the PAT",
        MemoryTypeCause.Eptp => $"EPTP ({MemoryTypeEncoding.Name(decision.Ept)})",
        _ => throw new ArgumentOutOfRangeException(nameof(decision), decision.Cause, "Not a cause."),
    };

    /// <summary>All of it in one line: <c>WB: PAT entry 0 (WB), MTRR default (WB)</c>.</summary>
    public override string ToString() => Warning is null ? $"{Type}: {Derivation}" : $"{Type}: {Derivation}; {Warning}";

    private static string Pat(PatSelection pat)
    {
        string type = MemoryTypeEncoding.Name(pat.Type);
        return pat.Source switch
        {
            PatSource.NoPaging => $"no paging ({type})",
            PatSource.Cr3 => string.Create(CultureInfo.InvariantCulture, $"PAT entry {pat.Index} by CR3 ({type})"),
            PatSource.Cr3WithPcid => $"PAT entry 0 with CR4.PCIDE ({type})",
            _ => string.Create(CultureInfo.InvariantCulture, $"PAT entry {pat.Index} ({type})"),
        };
    }

    private static string Mtrr(MtrrSelection mtrr, Gpa address)
    {
        string type = MemoryTypeEncoding.Name(mtrr.Type);
        return mtrr.Source switch
        {
            MtrrSource.Absent => $"no MTRRs ({type})",
            MtrrSource.Disabled => $"MTRRs off ({type})",
            MtrrSource.Default => $"MTRR default ({type})",
            MtrrSource.Fixed => $"MTRR fixed {FixedRange(mtrr.Matching, address)} ({type})",
            MtrrSource.Variable => $"MTRR {Numbers(mtrr.Matching)} ({type})",
            MtrrSource.UndefinedOverlap => $"MTRR {Numbers(mtrr.Matching)} ({type}, since their overlap is undefined)",
            _ => throw new ArgumentOutOfRangeException(nameof(mtrr), mtrr.Source, "Not a source."),
        };
    }

    private static string FixedRange(int register, Gpa address)
    {
        ulong size = register switch
        {
            0 => BytesOfFixed64K,
            1 or 2 => BytesOfFixed16K,
            _ => BytesOfFixed4K,
        };
        ulong first = address.Value & ~(size - 1);
        return $"0x{first:x}..0x{first + size - 1:x}";
    }

    private static string Numbers(int matching)
    {
        List<int> numbers = [];
        for (uint rest = (uint)matching; rest != 0; rest &= rest - 1)
        {
            numbers.Add(BitOperations.TrailingZeroCount(rest));
        }

        return string.Join(" and ", numbers);
    }

    private static string? Warn(in MemoryTypeDecision decision, in MtrrTypes types)
    {
        if (decision.Cause == MemoryTypeCause.CacheDisabled)
        {
            return null;
        }

        string all = string.Join(", ", types.Types.Select(MemoryTypeEncoding.Name));
        return types.IsMixed ? $"the page spans MTRR types {all}, which is undefined"
            : types.IsSplit ? $"the page spans fixed MTRRs of types {all}, and is cached as pages of 4 KiB"
            : null;
    }
}
