using System.Globalization;
using System.Numerics;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Says in words how a second-stage translation ended: which level, which entry, which bit, which rule.</summary>
public static class SecondStageDescription
{
    /// <summary>The name of an entry of a level: PML5E, PML4E, PDPTE, PDE or PTE.</summary>
    /// <param name="level">5 to 1.</param>
    public static string LevelName(int level) => level switch
    {
        5 => "PML5E",
        4 => "PML4E",
        3 => "PDPTE",
        2 => "PDE",
        1 => "PTE",
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, "A level is 1 to 5."),
    };

    /// <summary>The exit by its name in the manual.</summary>
    public static string ExitName(SecondStageExitReason exit) => exit switch
    {
        SecondStageExitReason.None => "no exit",
        SecondStageExitReason.EptViolation => "EPT violation",
        SecondStageExitReason.EptMisconfiguration => "EPT misconfiguration",
        SecondStageExitReason.PageModificationLogFull => "page-modification log full",
        SecondStageExitReason.NestedPageFault => "nested page fault",
        _ => throw new ArgumentOutOfRangeException(nameof(exit), exit, "Not an exit of the second stage."),
    };

    /// <summary>The access as it reads in a sentence: <c>user write</c>, <c>read of the guest's tables</c>.</summary>
    public static string AccessName(SecondStageAccess access) => access.Purpose switch
    {
        SecondStagePurpose.GuestTable => "read of the guest's tables",
        SecondStagePurpose.GuestTableUpdate => "setting of a flag in the guest's tables",
        SecondStagePurpose.PdpteLoad => "load of a PDPTE register",
        _ => WalkDescription.AccessName(access.Access),
    };

    /// <summary>One sentence on the outcome.</summary>
    /// <param name="result">What the walk returned.</param>
    /// <param name="gpa">The address it was asked for.</param>
    /// <param name="access">The access it was asked for.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR of the host.</param>
    public static string Describe(in SecondStageResult result, Gpa gpa, SecondStageAccess access, byte physicalAddressBits)
    {
        if (result.Succeeded)
        {
            return $"{gpa} is at {result.Hpa}, mapped by {EntryText(result)}.";
        }

        string cause = result.Failure switch
        {
            SecondStageFailure.AddressBeyondWalk => "the address has more bits than the tables translate",
            SecondStageFailure.EntryUnreachable => $"{FormatName(result)} {LevelName(result.Level)} at {result.EntryAddress}: no memory is there",
            SecondStageFailure.EntryContended => "the entries kept changing while their flags were being set",
            _ => $"{EntryText(result)}: {Reason(result, access, physicalAddressBits)}",
        };
        return $"{ExitName(result.Exit)} at {gpa}: {cause}.";
    }

    private static string FormatName(in SecondStageResult result) => result.Format == SecondStageFormat.Ept ? "EPT" : "nested";

    private static string EntryText(in SecondStageResult result) => string.Create(
        CultureInfo.InvariantCulture, $"{FormatName(result)} {LevelName(result.Level)} at {result.EntryAddress} = 0x{result.Entry:x16}");

    private static string Reason(in SecondStageResult result, SecondStageAccess access, byte physicalAddressBits)
    {
        bool ept = result.Format == SecondStageFormat.Ept;
        bool table = access.Purpose != SecondStagePurpose.FinalAddress;
        return result.Failure switch
        {
            SecondStageFailure.NotPresent => ept ? "R, W and X are 0" : "P is 0",
            SecondStageFailure.NotReadable => $"R is 0 and the access is a {AccessName(access)}",
            SecondStageFailure.NotWritable when ept && table =>
                $"W is 0 and the access is a {AccessName(access)}, which counts as a write",
            SecondStageFailure.NotWritable when ept => $"W is 0 and the access is a {AccessName(access)}",
            SecondStageFailure.NotWritable =>
                $"R/W is 0 and the access is a {AccessName(access)}" + (table ? ", which counts as a write" : ""),
            SecondStageFailure.NotExecutable when ept =>
                (access.Translation & PageRights.User) != 0 && (result.Entry & EptEntry.ExecuteBit) != 0
                    ? "XU (bit 10) is 0 and the access is an instruction fetch from a user-mode linear address"
                    : "X is 0 and the access is an instruction fetch",
            SecondStageFailure.NotExecutable => "NX is 1 and the access is an instruction fetch",
            SecondStageFailure.NotUserPage => "U/S is 0 and every access of a guest is a user access to the nested tables",
            SecondStageFailure.NotShadowStackPage => "bit 60 is 0 and the access is a supervisor shadow-stack access",
            SecondStageFailure.WritableWithoutRead => "W is 1 and R is 0",
            SecondStageFailure.ExecuteOnlyUnsupported => "R is 0 and fetches are allowed, and there are no execute-only translations",
            SecondStageFailure.ReservedMemoryType => $"bits 5:3 name memory type {(int)result.EptMemoryType}, which is reserved",
            SecondStageFailure.LogFull => "a flag is to be set and the page-modification log is full",
            SecondStageFailure.ReservedBits => ReservedReason(result, physicalAddressBits),
            _ => throw new ArgumentOutOfRangeException(nameof(result), result.Failure, "Not a failure of a second-stage walk."),
        };
    }

    private static string ReservedReason(in SecondStageResult result, byte physicalAddressBits)
    {
        List<string> reasons = [];
        ulong addresses = result.ReservedMask & PageTableEntry.AddressMask4K;
        ulong beyond = addresses & ~((1UL << physicalAddressBits) - 1);
        ulong misaligned = addresses & ~beyond;
        ulong others = result.ReservedMask & ~addresses;
        if (beyond != 0)
        {
            reasons.Add($"{BitList(beyond)} 1 at or above MAXPHYADDR, which is {physicalAddressBits}");
        }

        if (misaligned != 0)
        {
            reasons.Add($"{BitList(misaligned)} 1 below the address of a large page");
        }

        if (others != 0)
        {
            reasons.Add($"{BitList(others)} 1 and reserved in {(result.Level == 1 ? "a PTE" : $"a {LevelName(result.Level)} such as this")}");
        }

        return string.Join("; ", reasons);
    }

    private static string BitList(ulong mask)
    {
        List<int> bits = [];
        for (ulong rest = mask; rest != 0; rest &= rest - 1)
        {
            bits.Add(BitOperations.TrailingZeroCount(rest));
        }

        return bits.Count == 1 ? $"bit {bits[0]} is" : $"bits {string.Join(", ", bits)} are";
    }
}
