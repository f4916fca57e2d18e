using System.Numerics;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Says in words how a walk ended: which level, which entry, which bit, which rule.</summary>
public static class WalkDescription
{
    /// <summary>The SDM's name for an entry of a level: PML4E, PDPTE, PDE or PTE.</summary>
    /// <param name="level">4 to 1.</param>
    public static string LevelName(int level) => level switch
    {
        4 => "PML4E",
        3 => "PDPTE",
        2 => "PDE",
        1 => "PTE",
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, "A level of 4-level paging is 1 to 4."),
    };

    /// <summary>The access as it reads in a sentence: <c>supervisor write</c>, <c>user instruction fetch</c>, <c>implicit supervisor read</c>.</summary>
    public static string AccessName(WalkAccess access)
    {
        string kind = access.Kind switch
        {
            AccessKind.Read => "read",
            AccessKind.Write => "write",
            _ => "instruction fetch",
        };
        string who = access.IsUser ? "user" : access.Implicit ? "implicit supervisor" : "supervisor";
        return $"{who} {kind}";
    }

    /// <summary>One sentence on the outcome of a walk.</summary>
    /// <param name="result">What the walk returned.</param>
    /// <param name="gva">The address it was asked for.</param>
    /// <param name="access">The access it was asked for.</param>
    /// <param name="state">The state it was made in.</param>
    public static string Describe(in WalkResult result, Gva gva, WalkAccess access, in PagingState state)
    {
        if (result.Succeeded)
        {
            return result.Level == 0
                ? $"{gva} is at {result.Gpa}, since CR0.PG is 0."
                : $"{gva} is at {result.Gpa}, mapped by {EntryText(result)}.";
        }

        if (result.Failure == WalkFailure.NonCanonical)
        {
            return $"{gva} is not canonical: bits 63:47 are not all equal.";
        }

        return result.Failure == WalkFailure.EntryUnreachable
            ? $"{LevelName(result.Level)} at {result.EntryAddress}: no memory is there, so the entry counts as not present."
            : $"{EntryText(result)}: {Reason(result, access, state)}.";
    }

    private static string EntryText(in WalkResult result) => $"{LevelName(result.Level)} at {result.EntryAddress} = {result.Entry}";

    private static string Reason(in WalkResult result, WalkAccess access, in PagingState state) => result.Failure switch
    {
        WalkFailure.NotPresent when state.Mode == PagingMode.Pae && result.Level == 3 => "P is 0 in the register loaded from there",
        WalkFailure.NotPresent => "P is 0",
        WalkFailure.ReservedBits => string.Join("; ", ReservedReasons(result.ReservedMask, result.Level, result.Entry, state)),
        WalkFailure.EntryContended => $"it kept changing while its A and D flags were being set, in {PageWalker.MaxAttempts} walks",
        WalkFailure.UserAccessToSupervisorPage => $"U/S is 0 and the access is a {AccessName(access)}",
        WalkFailure.WriteToReadOnlyPage when access.IsUser => "R/W is 0 and the access is a user write",
        WalkFailure.WriteToReadOnlyPage => $"R/W is 0 and the access is {WithArticle(access)} with CR0.WP = 1",
        WalkFailure.ExecuteOfNoExecutePage => $"NX is 1 and the access is {WithArticle(access)} with IA32_EFER.NXE = 1",
        WalkFailure.SupervisorExecuteOfUserPage =>
            $"U/S is 1 here and at every level above, and the access is {WithArticle(access)} with CR4.SMEP = 1",
        WalkFailure.SupervisorAccessToUserPage =>
            $"U/S is 1 here and at every level above, and the access is {WithArticle(access)} with CR4.SMAP = 1"
            + (access.Implicit ? ", which RFLAGS.AC does not exempt" : " and RFLAGS.AC = 0"),
        WalkFailure.ForbiddenByProtectionKey => $"PKRU forbids {WithArticle(access)} of a user page with protection key {result.Entry.ProtectionKey}",
        _ => throw new ArgumentOutOfRangeException(nameof(result), result.Failure, "Not a failure of a walk."),
    };

    private static string WithArticle(WalkAccess access) => (access.Implicit ? "an " : "a ") + AccessName(access);

    private static List<string> ReservedReasons(ulong mask, int level, PageTableEntry entry, in PagingState state)
    {
        List<string> reasons = [];
        if ((mask & PageTableEntry.NXBit) != 0)
        {
            reasons.Add("bit 63 (NX) is 1 and IA32_EFER.NXE is 0");
        }

        ulong beyond = mask & ~PageTableEntry.NXBit & ~state.PhysicalMask;
        if (beyond != 0)
        {
            reasons.Add($"{BitList(beyond)} 1 at or above MAXPHYADDR, which is {state.PhysicalAddressBits}");
        }

        if ((mask & PageTableEntry.PSBit) != 0)
        {
            reasons.Add(level == 4 ? "bit 7 (PS) is 1, which is reserved in a PML4E" : "bit 7 (PS) is 1 and 1 GiB pages are not supported");
        }

        ulong misaligned = mask & state.PhysicalMask & PageTableEntry.AddressMask4K;
        if (misaligned != 0 && entry.PS)
        {
            reasons.Add(state.Mode == PagingMode.Bits32
                ? $"{BitList(misaligned)} 1, which a 4 MiB page reserves where MAXPHYADDR is {state.PhysicalAddressBits}"
                : $"{BitList(misaligned)} 1 below the address of a {(level == 3 ? "1 GiB" : "2 MiB")} page");
        }

        return reasons;
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
