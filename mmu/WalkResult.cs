using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>How a page walk ended: a translation, or a fault with its cause.</summary>
public readonly struct WalkResult
{
    /// <summary>The guest-physical address of the byte asked for; 0 on failure.</summary>
    public Gpa Gpa { get; init; }

    /// <summary>
    /// Where <see cref="Entry"/> lies, or where the register that holds a PDPTE of PAE paging was loaded from; 0 when there is no entry.
    /// </summary>
    public Gpa EntryAddress { get; init; }

    /// <summary>
    /// On success the entry that maps the page, with the A and D flags the walk has set. On failure the entry to blame:
    /// for a right, the highest one that withholds it; 0 when it could not be read.
    /// </summary>
    public PageTableEntry Entry { get; init; }

    /// <summary>The offending bits, when <see cref="Failure"/> is <see cref="WalkFailure.ReservedBits"/>.</summary>
    public ulong ReservedMask { get; init; }

    /// <summary>Whether the key is that of a supervisor page, when <see cref="Failure"/> is <see cref="WalkFailure.ForbiddenByProtectionKey"/>.</summary>
    public bool SupervisorKey { get; init; }

    /// <summary>The error code for #PF; meaningless when the address is not canonical.</summary>
    public PageFaultCode ErrorCode { get; init; }

    /// <summary>Why the walk failed, or <see cref="WalkFailure.None"/>.</summary>
    public WalkFailure Failure { get; init; }

    /// <summary>The rights of the translation.</summary>
    public PageRights Rights { get; init; }

    /// <summary>log2 of the page's size: 12, 21, 22 or 30; 0 on failure. Without paging it is 12.</summary>
    public int PageShift { get; init; }

    /// <summary>The level of <see cref="Entry"/>: 5 for a PML5E, 4 for a PML4E, 3 for a PDPTE, 2 for a PDE, 1 for a PTE; 0 when the address is not canonical, and without paging.</summary>
    public int Level { get; init; }

    /// <summary>Whether there is a translation.</summary>
    public bool Succeeded => Failure == WalkFailure.None;
}
