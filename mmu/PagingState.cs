using System.Runtime.CompilerServices;

namespace Quadwalk.Mmu;

/// <summary>The processor state that translation depends on (SDM Vol. 3A, section 5.1.3 "Paging-Mode Modifiers").</summary>
/// <param name="Cr0">CR0.</param>
/// <param name="Cr3">CR3; bits outside the root table's address are ignored here.</param>
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
/// <param name="Pkru">PKRU: for each protection key, access disable in bit 2i and write disable in bit 2i + 1.</param>
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
    uint Pkru = 0)
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

    /// <summary>CR4.SMEP.</summary>
    public const ulong Cr4SMEP = 1UL << 20;

    /// <summary>CR4.SMAP.</summary>
    public const ulong Cr4SMAP = 1UL << 21;

    /// <summary>CR4.PKE.</summary>
    public const ulong Cr4PKE = 1UL << 22;

    /// <summary>IA32_EFER.LMA.</summary>
    public const ulong EferLMA = 1UL << 10;

    /// <summary>IA32_EFER.NXE.</summary>
    public const ulong EferNXE = 1UL << 11;

    /// <summary>How linear addresses are translated.</summary>
    public PagingMode Mode =>
        !PG ? PagingMode.None
        : (Efer & EferLMA) != 0 ? PagingMode.FourLevel
        : PAE ? PagingMode.Pae
        : PagingMode.Bits32;

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
        get => (Cr4 & Cr4PKE) != 0 && Mode == PagingMode.FourLevel;
    }

    /// <summary>Bit 63 of an 8-byte entry is NX; where not, it is reserved.</summary>
    public bool NXE => (Efer & EferNXE) != 0;

    /// <summary>The bits of a guest-physical address that exist: MAXPHYADDR-1 to 0.</summary>
    public ulong PhysicalMask
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (1UL << Math.Min((int)PhysicalAddressBits, 52)) - 1;
    }
}
