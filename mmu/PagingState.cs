using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The processor state that translation depends on (SDM Vol. 3A, section 5.1.3 "Paging-Mode Modifiers").</summary>
/// <param name="Cr0">CR0.</param>
/// <param name="Cr3">CR3; of the bits outside the root table's address only LAM_U57 and LAM_U48 are looked at here.</param>
/// <param name="Cr4">CR4.</param>
/// <param name="Efer">IA32_EFER.</param>
/// <param name="AlignmentCheck">RFLAGS.AC, which exempts explicit supervisor accesses from SMAP.</param>
/// <param name="PhysicalAddressBits">MAXPHYADDR, 32 to 52.</param>
/// <param name="Page1G">Whether 1 GiB pages are supported (CPUID.80000001H:EDX.Page1GB[26]); where not, PS in a PDPTE is reserved.</param>
/// <param name="Accessed">When a faulting walk sets accessed flags.</param>
/// <param name="Pdptes">The PDPTE registers; only PAE paging looks at them.</param>
/// <param name="Pse36">
/// Whether 4 MiB pages above 4 GiB are supported (CPUID.01H:EDX.PSE-36[17]); where not, bits 21:13 of a PDE that maps one are reserved.
/// </param>
/// <param name="Pkru">PKRU: for each protection key, access disable in bit 2i and write disable in bit 2i + 1 of user pages.</param>
/// <param name="Pkrs">IA32_PKRS: the same for supervisor pages.</param>
public readonly record struct PagingState(
    ulong Cr0,
    ulong Cr3,
    ulong Cr4,
    ulong Efer,
    bool AlignmentCheck,
    byte PhysicalAddressBits,
    bool Page1G = true,
    AccessedPolicy Accessed = AccessedPolicy.OnSuccess,
    PdpteRegisters Pdptes = default,
    bool Pse36 = true,
    uint Pkru = 0,
    uint Pkrs = 0)
{
    /// <summary>CR0.PG.</summary>
    public const ulong Cr0PG = 1UL << 31;

    /// <summary>CR0.WP.</summary>
    public const ulong Cr0WP = 1UL << 16;

    /// <summary>CR4.PSE.</summary>
    public const ulong Cr4PSE = 1UL << 4;

    /// <summary>CR4.PAE.</summary>
    public const ulong Cr4PAE = 1UL << 5;

    /// <summary>CR4.PGE.</summary>
    public const ulong Cr4PGE = 1UL << 7;

    /// <summary>CR4.LA57.</summary>
    public const ulong Cr4LA57 = 1UL << 12;

    /// <summary>CR4.SMEP.</summary>
    public const ulong Cr4SMEP = 1UL << 20;

    /// <summary>CR4.SMAP.</summary>
    public const ulong Cr4SMAP = 1UL << 21;

    /// <summary>CR4.PKE.</summary>
    public const ulong Cr4PKE = 1UL << 22;

    /// <summary>CR4.CET.</summary>
    public const ulong Cr4CET = 1UL << 23;

    /// <summary>CR4.PKS.</summary>
    public const ulong Cr4PKS = 1UL << 24;

    /// <summary>CR4.LAM_SUP: metadata in bits 62:57 or 62:48 of supervisor data pointers, by CR4.LA57.</summary>
    public const ulong Cr4LamSup = 1UL << 28;

    /// <summary>CR3.LAM_U57: metadata in bits 62:57 of user data pointers.</summary>
    public const ulong Cr3LamU57 = 1UL << 61;

    /// <summary>CR3.LAM_U48: metadata in bits 62:48 of user data pointers, unless LAM_U57 is set too.</summary>
    public const ulong Cr3LamU48 = 1UL << 62;

    /// <summary>IA32_EFER.LMA.</summary>
    public const ulong EferLMA = 1UL << 10;

    /// <summary>IA32_EFER.NXE.</summary>
    public const ulong EferNXE = 1UL << 11;

    /// <summary>How linear addresses are translated.</summary>
    public PagingMode Mode =>
        !PG ? PagingMode.None
        : (Efer & EferLMA) != 0 ? ((Cr4 & Cr4LA57) != 0 ? PagingMode.FiveLevel : PagingMode.FourLevel)
        : PAE ? PagingMode.Pae
        : PagingMode.Bits32;

    /// <summary>Paging is that of IA-32e mode: 4-level or 5-level.</summary>
    public bool IsLongMode => PG && (Efer & EferLMA) != 0;

    /// <summary>Linear addresses are translated by tables.</summary>
    public bool PG => (Cr0 & Cr0PG) != 0;

    /// <summary>Entries have 8 bytes.</summary>
    public bool PAE => (Cr4 & Cr4PAE) != 0;

    /// <summary>32-bit paging has 4 MiB pages.</summary>
    public bool PSE => (Cr4 & Cr4PSE) != 0;

    /// <summary>Supervisor writes respect the R/W flag.</summary>
    public bool WP => (Cr0 & Cr0WP) != 0;

    /// <summary>The G flag of an entry is in use.</summary>
    public bool PGE => (Cr4 & Cr4PGE) != 0;

    /// <summary>The supervisor does not execute user pages; there are none without paging.</summary>
    public bool SMEP => (Cr4 & Cr4SMEP) != 0 && PG;

    /// <summary>
    /// The supervisor does not reach for data in user pages, unless explicitly and with RFLAGS.AC set; there are none without paging.
    /// </summary>
    public bool SMAP => (Cr4 & Cr4SMAP) != 0 && PG;

    /// <summary>Pages have protection keys, and <see cref="Pkru"/> says what those of user pages allow.</summary>
    public bool PKE
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Cr4 & Cr4PKE) != 0 && IsLongMode;
    }

    /// <summary>Supervisor pages have protection keys, and <see cref="Pkrs"/> says what they allow.</summary>
    public bool PKS
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Cr4 & Cr4PKS) != 0 && IsLongMode;
    }

    /// <summary>There are shadow-stack pages and accesses. Software sets it only with CR0.WP, so no rule of theirs asks for WP.</summary>
    public bool CET => (Cr4 & Cr4CET) != 0;

    /// <summary>The bits of a linear address: 57 with 5-level paging, 48 with 4-level paging, else 32.</summary>
    public int LinearAddressBits => !IsLongMode ? 32 : (Cr4 & Cr4LA57) != 0 ? 57 : 48;

    /// <summary>Bit 63 of an 8-byte entry is NX; where not, it is reserved.</summary>
    public bool NXE => (Efer & EferNXE) != 0;

    /// <summary>The bits of a guest-physical address that exist: MAXPHYADDR-1 to 0.</summary>
    public ulong PhysicalMask
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (1UL << Math.Min((int)PhysicalAddressBits, 52)) - 1;
    }

    /// <summary>Whether linear-address masking or 5-level paging has to be thought of.</summary>
    internal bool IsExtended
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ((Cr3 & (Cr3LamU57 | Cr3LamU48)) | (Cr4 & (Cr4LA57 | Cr4LamSup))) != 0;
    }

    /// <summary>
    /// Whether an address is canonical in the paging mode in force: the bits from the highest that is translated up are all equal. Outside
    /// IA-32e mode every address of 32 bits is.
    /// </summary>
    public bool IsCanonical(Gva gva) =>
        !IsLongMode ? gva.Value <= uint.MaxValue
        : (Cr4 & Cr4LA57) != 0 ? FiveLevelFormat.IsCanonical(gva)
        : LongModeFormat.IsCanonical(gva);

    /// <summary>
    /// The bit that linear-address masking copies into bits 62 down to the one above it, or -1 where it leaves an address alone: 56 or 47, by
    /// CR3.LAM_U57 and LAM_U48 for an address whose bit 63 is 0, and by CR4.LAM_SUP and LA57 for one whose bit 63 is 1. Instruction fetches
    /// and implicit accesses are not masked (SDM Vol. 3A, chapter 4 "Linear-Address Masking").
    /// </summary>
    public int MaskingBit(Gva gva, WalkAccess access)
    {
        if (!IsLongMode || access.Implicit || access.Kind == AccessKind.Execute)
        {
            return -1;
        }

        if (gva.Value >> 63 != 0)
        {
            return (Cr4 & Cr4LamSup) == 0 ? -1 : (Cr4 & Cr4LA57) != 0 ? 56 : 47;
        }

        return (Cr3 & Cr3LamU57) != 0 ? 56 : (Cr3 & Cr3LamU48) != 0 ? 47 : -1;
    }

    /// <summary>
    /// The address that an access is made at, without the metadata that linear-address masking takes out. Bit 63 stays, so the result need
    /// not be canonical.
    /// </summary>
    public Gva Untag(Gva gva, WalkAccess access) => IsExtended ? Masked(gva, MaskingBit(gva, access)) : gva;

    private static Gva Masked(Gva gva, int bit)
    {
        if (bit < 0)
        {
            return gva;
        }

        int unused = 63 - bit;
        ulong extended = (ulong)((long)(gva.Value << unused) >> unused);
        return new((extended & ~(1UL << 63)) | (gva.Value & (1UL << 63)));
    }
}
