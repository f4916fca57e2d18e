using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The rules of EPT as tables, copied from SDM Vol. 3C, tables 29-1 to 29-7 and 28-7 and section 29.3.3, and evaluated row by row.</summary>
internal static class SdmEptRules
{
    public const ulong R = 1, W = 2, X = 4, IPAT = 0x40, PS = 0x80, A = 0x100, D = 0x200, XU = 0x400, SSS = 1UL << 60;

    /// <summary>Instead of bits: a supervisor shadow-stack access under its control.</summary>
    private const ulong ShadowStackRule = 1UL << 63;

    // Control columns: either value, 0 only, 1 only.
    private const int Any = -1;

    /// <summary>Bits that must be 0, by level and by whether the entry maps a page.</summary>
    private static readonly (int Level, bool Maps, ulong Reserved)[] reservedRows =
    [
        (5, false, 0b1111_1000),
        (4, false, 0b1111_1000),
        (3, false, 0b1111_1000),
        (3, true, 0x3fff_f000),
        (2, false, 0b1111_1000),
        (2, true, 0x001f_f000),
        (1, true, 0),
    ];

    /// <summary>Bits 2:0 of a present entry: never allowed, or only where execute-only translations are supported.</summary>
    private static readonly (ulong Mask, ulong Value, int ModeBased, int ExecuteOnly, SecondStageFailure Failure)[] misconfigurationRows =
    [
        (R | W, W, Any, Any, SecondStageFailure.WritableWithoutRead),
        (R | X, X, Any, 0, SecondStageFailure.ExecuteOnlyUnsupported),
        (R | XU, XU, 1, 0, SecondStageFailure.ExecuteOnlyUnsupported),
    ];

    private static readonly int[] reservedTypes = [2, 3, 7];

    /// <summary>What each access needs in every entry, what its exit qualification says of it, and whether it sets the dirty flag.</summary>
    private static readonly (EptAccess Access, int Dirty, int ModeBased, int ShadowStack, ulong Needs, ulong Qualification, bool Dirties)[] accessRows =
    [
        (EptAccess.Read, Any, Any, Any, R, 0x181, false),
        (EptAccess.Write, Any, Any, Any, W, 0x182, true),
        (EptAccess.FetchSupervisor, Any, Any, Any, X, 0x184, false),
        (EptAccess.FetchUser, Any, 0, Any, X, 0x184, false),
        (EptAccess.FetchUser, Any, 1, Any, XU, 0x184, false),
        (EptAccess.Table, 0, Any, Any, R, 0x081, false),
        (EptAccess.Table, 1, Any, Any, R | W, 0x083, true),
        (EptAccess.TableUpdate, 0, Any, Any, W, 0x082, true),
        (EptAccess.TableUpdate, 1, Any, Any, W, 0x083, true),
        (EptAccess.Pdpte, Any, Any, Any, R, 0x001, false),
        (EptAccess.ShadowStackRead, Any, Any, 0, R, 0x2181, false),
        (EptAccess.ShadowStackRead, Any, Any, 1, ShadowStackRule, 0x2181, false),
        (EptAccess.ShadowStackWrite, Any, Any, 0, W, 0x2182, true),
        (EptAccess.ShadowStackWrite, Any, Any, 1, ShadowStackRule, 0x2182, true),
        (EptAccess.UserShadowStackRead, Any, Any, Any, R, 0x2181, false),
    ];

    /// <summary>The row that fits, for each access and each three controls.</summary>
    private static readonly int[] rowFor = FindRows();

    /// <summary>Judges a walk over one entry a level; an entry that references another table than the next entry lies in leads to no memory.</summary>
    /// <param name="frames">The tables by level; [0] is the page.</param>
    /// <param name="entries">The entries by level, before the walk; changed to what they are after it.</param>
    /// <param name="top">4 or 5.</param>
    /// <param name="access">The access.</param>
    /// <param name="controls">The controls and capabilities.</param>
    /// <param name="advanced">Bits 11:9 of the exit qualification, as the guest's page has them.</param>
    public static EptVerdict Judge(ReadOnlySpan<ulong> frames, Span<ulong> entries, int top, EptAccess access, EptControls controls, ulong advanced)
    {
        var row = accessRows[rowFor[RowKey(access, controls)]];
        ulong qualification = row.Qualification | ((row.Qualification & 0x100) != 0 && controls.Advanced ? advanced : 0);
        ulong presence = controls.ModeBased ? R | W | X | XU : R | W | X;

        int leaf = top;
        for (; ; leaf--)
        {
            ulong entry = entries[leaf];
            if ((entry & presence) == 0)
            {
                return new EptVerdict(SecondStageExitReason.EptViolation, SecondStageFailure.NotPresent, leaf, qualification);
            }

            bool maps = leaf == 1 || ((entry & PS) != 0 && ((leaf == 2 && controls.Pages) || (leaf == 3 && controls.Pages)));
            foreach (var rule in misconfigurationRows)
            {
                if ((entry & rule.Mask) == rule.Value && Fits(rule.ModeBased, controls.ModeBased) && Fits(rule.ExecuteOnly, controls.ExecuteOnly))
                {
                    return new EptVerdict(SecondStageExitReason.EptMisconfiguration, rule.Failure, leaf, 0);
                }
            }

            ulong reserved = (0x000f_ffff_ffff_ffffUL >> controls.PhysicalAddressBits) << controls.PhysicalAddressBits;
            foreach (var rule in reservedRows)
            {
                reserved |= rule.Level == leaf && rule.Maps == maps ? rule.Reserved : 0;
            }

            if ((entry & reserved) != 0)
            {
                return new EptVerdict(SecondStageExitReason.EptMisconfiguration, SecondStageFailure.ReservedBits, leaf, 0) { Reserved = entry & reserved };
            }

            if (maps)
            {
                break;
            }

            ulong table = entry & 0x000f_ffff_ffff_f000;
            if (table != frames[leaf - 1])
            {
                return new EptVerdict(SecondStageExitReason.EptMisconfiguration, SecondStageFailure.EntryUnreachable, leaf - 1, 0) { Address = table };
            }
        }

        if (Array.IndexOf(reservedTypes, (int)(entries[leaf] >> 3) & 7) >= 0)
        {
            return new EptVerdict(SecondStageExitReason.EptMisconfiguration, SecondStageFailure.ReservedMemoryType, leaf, 0);
        }

        ulong common = ulong.MaxValue;
        for (int level = top; level >= leaf; level--)
        {
            common &= entries[level];
        }

        ulong rights = ((common & R) != 0 ? 0x08u : 0) | ((common & W) != 0 ? 0x10u : 0) | ((common & X) != 0 ? 0x20u : 0)
            | (controls.ModeBased && (common & XU) != 0 ? 0x40u : 0) | (controls.ShadowStack && (entries[leaf] & SSS) != 0 ? 0x4000u : 0);
        for (int level = top; level >= leaf; level--)
        {
            ulong needs = row.Needs != ShadowStackRule ? row.Needs : level > leaf ? R | W : R | SSS;
            ulong missing = needs & ~entries[level];
            if (missing != 0)
            {
                SecondStageFailure failure =
                    (missing & R) != 0 ? SecondStageFailure.NotReadable
                    : (missing & W) != 0 ? SecondStageFailure.NotWritable
                    : (missing & SSS) != 0 ? SecondStageFailure.NotShadowStackPage
                    : SecondStageFailure.NotExecutable;
                return new EptVerdict(SecondStageExitReason.EptViolation, failure, level, qualification | rights);
            }
        }

        if (controls.AccessedDirty)
        {
            for (int level = top; level >= leaf; level--)
            {
                entries[level] |= A | (level == leaf && row.Dirties ? D : 0);
            }
        }

        return new EptVerdict(SecondStageExitReason.None, SecondStageFailure.None, leaf, 0)
        {
            Address = entries[leaf] & 0x000f_ffff_ffff_f000,
            Rights = ((common & R) != 0 ? SecondStageRights.Read : 0) | ((common & W) != 0 ? SecondStageRights.Write : 0)
                | ((common & X) != 0 ? SecondStageRights.Execute : 0)
                | ((common & (controls.ModeBased ? XU : X)) != 0 ? SecondStageRights.ExecuteUser : 0)
                | (!controls.AccessedDirty || (entries[leaf] & D) != 0 ? SecondStageRights.Dirty : 0)
                | (controls.ShadowStack && (entries[leaf] & SSS) != 0 ? SecondStageRights.ShadowStack : 0),
        };
    }

    private static int RowKey(EptAccess access, EptControls controls) =>
        ((int)access << 3) | (controls.AccessedDirty ? 1 : 0) | (controls.ModeBased ? 2 : 0) | (controls.ShadowStack ? 4 : 0);

    private static int[] FindRows() =>
    [
        .. from key in Enumerable.Range(0, Enum.GetValues<EptAccess>().Length << 3)
           select Array.FindIndex(accessRows, row => (int)row.Access == key >> 3 && Fits(row.Dirty, (key & 1) != 0)
               && Fits(row.ModeBased, (key & 2) != 0) && Fits(row.ShadowStack, (key & 4) != 0)),
    ];

    private static bool Fits(int column, bool value) => column == Any || column == (value ? 1 : 0);
}

/// <summary>The accesses that EPT tells apart.</summary>
internal enum EptAccess
{
    Read,
    Write,
    FetchSupervisor,
    FetchUser,
    Table,
    TableUpdate,
    Pdpte,
    ShadowStackRead,
    ShadowStackWrite,
    UserShadowStackRead,
}

/// <summary>What the rules depend on beside entries and access.</summary>
internal readonly record struct EptControls(
    bool AccessedDirty, bool ModeBased, bool ShadowStack, bool ExecuteOnly, bool Pages, bool Advanced, int PhysicalAddressBits);

/// <summary>What the rules say.</summary>
internal readonly record struct EptVerdict(SecondStageExitReason Exit, SecondStageFailure Failure, int Level, ulong Qualification)
{
    public ulong Reserved { get; init; }

    public ulong Address { get; init; }

    public SecondStageRights Rights { get; init; }
}
