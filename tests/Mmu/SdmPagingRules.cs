using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The paging rules of SDM Vol. 3A, sections 5.5 to 5.7, as rows of a table; the first row that matches decides.</summary>
internal static class SdmPagingRules
{
    public const int KindR = 1, KindW = 2, KindX = 4, ModeU = 8, ModeS = 16, ModeI = 32, PageU = 64, PageW = 128, PageNX = 256;
    public const int WP = 512, NXE = 1024, SMEP = 2048, SMAP = 4096, AC = 8192;
    public const int FactBits = 14;

    // kind: r, w, x.  mode: u = user, s = explicit supervisor, i = implicit supervisor.  U W NX: of the page, over all levels.
    private static readonly (string Row, WalkFailure Outcome)[] AccessRows =
    [
        //kind mode U W NX  WP NXE SMEP SMAP AC
        ("rwx  u    0 - -   -  -   -    -    -", WalkFailure.UserAccessToSupervisorPage),
        ("x    si   1 - -   -  -   1    -    -", WalkFailure.SupervisorExecuteOfUserPage),
        ("rw   s    1 - -   -  -   -    1    0", WalkFailure.SupervisorAccessToUserPage),
        ("rw   i    1 - -   -  -   -    1    -", WalkFailure.SupervisorAccessToUserPage),
        ("w    u    - 0 -   -  -   -    -    -", WalkFailure.WriteToReadOnlyPage),
        ("w    si   - 0 -   1  -   -    -    -", WalkFailure.WriteToReadOnlyPage),
        ("x    usi  - - 1   -  1   -    -    -", WalkFailure.ExecuteOfNoExecutePage),
        ("rwx  usi  - - -   -  -   -    -    -", WalkFailure.None),
    ];

    // Levels, bits from-to (M = MAXPHYADDR), and when they are reserved.
    private static readonly (string Levels, string Bits, Func<bool, bool, bool, bool> When)[] ReservedRows =
    [
        ("4 3 2 1", "M-51", (ps, nxe, page1G) => true),
        ("4 3 2 1", "63-63", (ps, nxe, page1G) => !nxe),
        ("4", "7-7", (ps, nxe, page1G) => true),
        ("3", "7-7", (ps, nxe, page1G) => !page1G),
        ("3", "13-29", (ps, nxe, page1G) => ps && page1G),
        ("2", "13-20", (ps, nxe, page1G) => ps),
    ];

    /// <summary>The outcome for every combination of the facts of an access.</summary>
    public static WalkFailure[] AccessOutcomes()
    {
        WalkFailure[] outcomes = new WalkFailure[1 << FactBits];
        for (int facts = 0; facts < outcomes.Length; facts++)
        {
            foreach ((string row, WalkFailure outcome) in AccessRows)
            {
                if (Matches(row.Split(' ', StringSplitOptions.RemoveEmptyEntries), facts))
                {
                    outcomes[facts] = outcome;
                    break;
                }
            }
        }

        return outcomes;
    }

    /// <summary>The reserved bits of an entry.</summary>
    public static ulong Reserved(int level, bool ps, bool nxe, bool page1G, int maxPhysicalAddress)
    {
        ulong mask = 0;
        foreach ((string levels, string bits, Func<bool, bool, bool, bool> when) in ReservedRows)
        {
            string[] ends = bits.Split('-');
            int from = ends[0] == "M" ? maxPhysicalAddress : int.Parse(ends[0]);
            for (int bit = from; levels.Contains($"{level}") && when(ps, nxe, page1G) && bit <= int.Parse(ends[1]); bit++)
            {
                mask |= 1UL << bit;
            }
        }

        return mask;
    }

    /// <summary>The error code, bit by bit as section 5.7 lists them.</summary>
    public static PageFaultCode ErrorCode(WalkFailure failure, int facts)
    {
        (PageFaultCode Bit, bool Set)[] bits =
        [
            (PageFaultCode.Present, failure is not (WalkFailure.NotPresent or WalkFailure.EntryUnreachable)),
            (PageFaultCode.Write, (facts & KindW) != 0),
            (PageFaultCode.User, (facts & ModeU) != 0),
            (PageFaultCode.Reserved, failure == WalkFailure.ReservedBits),
            (PageFaultCode.InstructionFetch, (facts & KindX) != 0 && (facts & (NXE | SMEP)) != 0),
        ];
        return failure == WalkFailure.None ? 0 : (PageFaultCode)bits.Sum(bit => bit.Set ? (int)bit.Bit : 0);
    }

    private static bool Matches(string[] columns, int facts)
    {
        bool matches = columns[0].Any(kind => (facts & (kind == 'r' ? KindR : kind == 'w' ? KindW : KindX)) != 0)
            && columns[1].Any(mode => (facts & (mode == 'u' ? ModeU : mode == 's' ? ModeS : ModeI)) != 0);
        for (int column = 2; column < columns.Length; column++)
        {
            bool set = (facts & (PageU << (column - 2))) != 0;
            matches &= columns[column] == "-" || set == (columns[column] == "1");
        }

        return matches;
    }
}
