namespace Quadwalk.Tests;

/// <summary>The words of a <see cref="SweepWords"/>: everything a walk depends on. An entry's word is its level.</summary>
internal enum Slot
{
    /// <summary>The access: <see cref="SweepWords.WriteAccess"/> and the constants after it.</summary>
    Access,
    Pte,
    Pde,
    Pdpte,
    Pml4e,
    Pml5e,
    Cr0,
    Cr3,
    Cr4,
    Efer,
    Rflags,

    /// <summary>PKRU in the low half, IA32_PKRS in the high half.</summary>
    Keys,
    Gva,

    /// <summary>MAXPHYADDR in bits 7:0, and the processor's features above.</summary>
    Cpu,

    /// <summary>The PDPTE register that <see cref="Gva"/> selects.</summary>
    Register,

    /// <summary>The bits flipped in the second stage's entry for a table of the guest; which entry, <see cref="Second"/> tells.</summary>
    SecondTable,

    /// <summary>The bits flipped in the second stage's entry for the guest's page.</summary>
    SecondPage,

    /// <summary>The second stage: controls and what is flipped, as <see cref="NestedControls"/> has them; 0 is none.</summary>
    Second,
}
