using System.Numerics;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Says in words how a walk ended: which level, which entry, which bit, which rule.</summary>
public static class WalkDescription
{
    /// <summary>The SDM's name for an entry of a level: PML5E, PML4E, PDPTE, PDE or PTE.</summary>
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

    /// <summary>The access as it reads in a sentence: <c>supervisor write</c>, <c>user instruction fetch</c>, <c>implicit supervisor read</c>, <c>user shadow-stack read</c>.</summary>
    public static string AccessName(WalkAccess access)
    {
        string kind = access.Kind switch
        {
            AccessKind.Read => "read",
            AccessKind.Write => "write",
            _ => "instruction fetch",
        };
        string who = access.IsUser ? "user" : access.Implicit ? "implicit supervisor" : "supervisor";
        string what = access.ShadowStack && access.Kind != AccessKind.Execute ? " shadow-stack" : "";
        return $"{who}{what} {kind}";
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
            return $"{gva} is not canonical: {CanonicalReason(gva, access, state)}.";
        }

        return result.Failure == WalkFailure.EntryUnreachable
            ? $"{LevelName(result.Level)} at {result.EntryAddress}: no memory is there, so the entry counts as not present."
            : $"{EntryText(result)}: {Reason(result, access, state)}.";
    }

    private static string EntryText(in WalkResult result) => $"{LevelName(result.Level)} at {result.EntryAddress} = {result.Entry}";

    private static string CanonicalReason(Gva gva, WalkAccess access, in PagingState state)
    {
        bool fiveLevel = state.Mode == PagingMode.FiveLevel;
        return state.MaskingBit(gva, access) switch
        {
            56 when !fiveLevel => "bits 63 and 56:47 are not all equal; LAM ignores only bits 62:57",
            56 => "bits 63 and 56 are not equal; LAM ignores only those between",
            47 => "bits 63 and 47 are not equal; LAM ignores only those between",
            _ => $"bits 63:{(fiveLevel ? 56 : 47)} are not all equal",
        };
    }

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
        WalkFailure.ForbiddenByProtectionKey => KeyReason(result, access, state),
        WalkFailure.ShadowStackAccessToOtherPage => $"{ShadowStackReason(result, state)}, and the access is {WithArticle(access)}",
        WalkFailure.SupervisorShadowStackAccessToUserPage =>
            $"U/S is 1 here and at every level above, and the access is {WithArticle(access)}",
        _ => throw new ArgumentOutOfRangeException(nameof(result), result.Failure, "Not a failure of a walk."),
    };

    private static string KeyReason(in WalkResult result, WalkAccess access, in PagingState state)
    {
        (string register, string page, uint rights) = result.SupervisorKey ? ("IA32_PKRS", "supervisor", state.Pkrs) : ("PKRU", "user", state.Pkru);
        int key = result.Entry.ProtectionKey;
        string bit = ((rights >> (2 * key)) & 3) switch
        {
            0 => "",
            2 => $": WD{key} is 1",
            _ => $": AD{key} is 1",
        };
        return $"{register} forbids {WithArticle(access)} of a {page} page with protection key {key}{bit}";
    }

    /// <summary>What keeps a page from being one of a shadow stack, by the entry that is to blame.</summary>
    private static string ShadowStackReason(in WalkResult result, in PagingState state)
    {
        bool large = result.Entry.PS && result.Level <= 3 && (state.Mode != PagingMode.Bits32 || state.PSE);
        return result.Level != 1 && !large ? "R/W is 0, which a shadow-stack page has 1 above the entry that maps it"
            : result.Entry.RW ? "R/W is 1, which a shadow-stack page has 0"
            : "D is 0, which a shadow-stack page has 1";
    }

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
            reasons.Add(level >= 4 ? $"bit 7 (PS) is 1, which is reserved in a {LevelName(level)}" : "bit 7 (PS) is 1 and 1 GiB pages are not supported");
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
