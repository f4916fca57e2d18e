using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// The rules of paging as rows, from the text and the tables of SDM Vol. 3A, sections 5.3 to 5.8. A cell is 1, 0, or - where it does not matter.
/// Sweeps look walks up in these; nothing here comes from the walker.
/// </summary>
internal sealed record SweepRules
{
    /// <summary>Modes are 5 and 4 (levels), A (PAE) and 2 (32-bit).</summary>
    public const string ModeLetters = "-2A45";

    /// <summary>The rules as the SDM has them.</summary>
    public static SweepRules Sdm { get; } = new();

    /// <summary>
    /// Where the bits of a linear address that index a table are, and the bytes of an entry (5.3 figure 5-2, 5.4 figure 5-5, 5.5 figure 5-8).
    /// </summary>
    public string[] Indices { get; init; } =
    [
        // modes level bits  bytes
        "5       5     48-56 8",
        "54      4     39-47 8",
        "54      3     30-38 8",
        "A       3     30-31 8",
        "54A     2     21-29 8",
        "54A     1     12-20 8",
        "2       2     22-31 4",
        "2       1     12-21 4",
    ];

    /// <summary>
    /// The bits of a linear address that must be equal, and the bit from which on it is extended below bit 63 before it is used (4.5
    /// "Linear-Address Masking", 5.2). Data: not an instruction fetch, nor implicit. The first row that matches
    /// decides.
    /// </summary>
    public (string Row, int[] Equal, int ExtendedFrom)[] Canonical { get; init; } =
    [
        // bit63 LA57 U57 U48 SUP data
        ("0      0    1   -   -   1", [63, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47], 56),
        ("0      -    1   -   -   1", [63, 56], 56),
        ("0      -    -   1   -   1", [63, 47], 47),
        ("1      0    -   -   1   1", [63, 47], 47),
        ("1      -    -   -   1   1", [63, 56], 56),
        ("-      0    -   -   -   -", [63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47], 63),
        ("-      -    -   -   -   -", [63, 62, 61, 60, 59, 58, 57, 56], 63),
    ];

    /// <summary>Entries that map a page: log2 of its size, the PAT bit, and which bits of the entry go where in the physical address.</summary>
    public string[] Pages { get; init; } =
    [
        // modes level PS 1G PSE  size PAT  address
        "54      3     1  -  -    30   12   30-51@30",
        "54A     2     1  -  -    21   12   21-51@21",
        "2       2     1  -  1    22   12   22-31@22,13-20@32",
        "54A     1     -  -  -    12   7    12-51@12",
        "2       1     -  -  -    12   7    12-31@12",
    ];

    /// <summary>
    /// Bits that must be 0: M is MAXPHYADDR; H is 13 more than the physical-address bits above 32 that a 4 MiB page has, at most 8 and none
    /// without PSE-36 (tables 5-4 to 5-6, 5-8 to 5-11, 5-15 to 5-20).
    /// </summary>
    public string[] Reserved { get; init; } =
    [
        // modes levels bits  PS NXE 1G PSE
        "54      54321  M-51  -  -   -  -",
        "54      54321  63-63 -  0   -  -",
        "54      54     7-7   -  -   -  -",
        "54      3      7-7   -  -   0  -",
        "54      3      13-29 1  -   1  -",
        "54A     2      13-20 1  -   -  -",
        "A       21     M-62  -  -   -  -",
        "A       21     63-63 -  0   -  -",
        "2       2      H-21  1  -   -  1",
    ];

    /// <summary>
    /// Accesses that paging forbids (5.6.1). Kind: r, w, x. Mode: u user, s supervisor, i implicit supervisor. SS: a shadow-stack access.
    /// Of the page: U, W over all levels, NX at any, up W above the entry that maps it, lW and lD in that entry. NX without NXE is reserved and does
    /// not come here. The first row that matches names the cause.
    /// </summary>
    public (string Row, WalkFailure Failure)[] Rights { get; init; } =
    [
        // kind mode SS  U W NX up lW lD  WP NXE SMEP SMAP AC
        ("rwx   u    -   0 - -  -  -  -   -  -   -    -    -", WalkFailure.UserAccessToSupervisorPage),
        ("x     si   -   1 - -  -  -  -   -  -   1    -    -", WalkFailure.SupervisorExecuteOfUserPage),
        ("rw    s    0   1 - -  -  -  -   -  -   -    1    0", WalkFailure.SupervisorAccessToUserPage),
        ("rw    i    0   1 - -  -  -  -   -  -   -    1    -", WalkFailure.SupervisorAccessToUserPage),
        ("rw    si   1   1 - -  -  -  -   -  -   -    -    -", WalkFailure.SupervisorShadowStackAccessToUserPage),
        ("rw    usi  1   - - -  0  -  -   -  -   -    -    -", WalkFailure.ShadowStackAccessToOtherPage),
        ("rw    usi  1   - - -  -  1  -   -  -   -    -    -", WalkFailure.ShadowStackAccessToOtherPage),
        ("rw    usi  1   - - -  -  -  0   -  -   -    -    -", WalkFailure.ShadowStackAccessToOtherPage),
        ("w     u    0   - 0 -  -  -  -   -  -   -    -    -", WalkFailure.WriteToReadOnlyPage),
        ("w     si   0   - 0 -  -  -  -   1  -   -    -    -", WalkFailure.WriteToReadOnlyPage),
        ("x     usi  -   - - 1  -  -  -   -  -   -    -    -", WalkFailure.ExecuteOfNoExecutePage),
    ];

    /// <summary>Accesses that the key of the page forbids (5.6.2). AD and WD: of PKRU for a user page, of IA32_PKRS for a supervisor page.</summary>
    public string[] Keys { get; init; } =
    [
        // kind mode U  AD WD  WP PKE PKS
        "rw     usi  1  1  -   -  1   -",
        "w      u    1  -  1   -  1   -",
        "w      si   1  -  1   1  1   -",
        "rw     usi  0  1  -   -  -   1",
        "w      usi  0  -  1   1  -   1",
    ];

    /// <summary>The error code (5.7): a bit is 1 if a row of it matches. Cause: n nothing present, r reserved bits, a access rights; key: the key forbids it.</summary>
    public (string Row, PageFaultCode Bit)[] Codes { get; init; } =
    [
        // cause kind mode SS key  NXE PAE SMEP
        ("ra     rwx  usi  -  -    -   -   -", PageFaultCode.Present),
        ("nra    w    usi  -  -    -   -   -", PageFaultCode.Write),
        ("nra    rwx  u    -  -    -   -   -", PageFaultCode.User),
        ("r      rwx  usi  -  -    -   -   -", PageFaultCode.Reserved),
        ("nra    x    usi  -  -    1   1   -", PageFaultCode.InstructionFetch),
        ("nra    x    usi  -  -    -   -   1", PageFaultCode.InstructionFetch),
        ("a      rw   usi  -  1    -   -   -", PageFaultCode.ProtectionKey),
        ("nra    rw   usi  1  -    -   -   -", PageFaultCode.ShadowStack),
    ];

    /// <summary>Accessed and dirty flags (5.8). Done: the walk ended in a translation. On use: the policy marks an entry that references
    /// a table before that table is read; an entry that maps a page is not asked then.</summary>
    public (string Row, ulong Flag)[] Flags { get; init; } =
    [
        // kind mapsPage done onUse
        ("rwx   -        1    -", 1UL << 5),
        ("rwx   -        -    1", 1UL << 5),
        ("w     1        -    -", 1UL << 6),
    ];
}
