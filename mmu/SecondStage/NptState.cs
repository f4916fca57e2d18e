namespace Quadwalk.Mmu;

/// <summary>
/// All that translation by nested page tables depends on beside the tables: nCR3, and the host's paging mode at VMRUN
/// (AMD APM Vol. 2, sections 15.25.3 and 15.25.4).
/// </summary>
public readonly struct NptState
{
    private const ulong Modes = PagingState.Cr4PSE | PagingState.Cr4PAE | PagingState.Cr4LA57;

    /// <summary>Combines nCR3 with the host's registers.</summary>
    /// <param name="nestedCr3">nCR3.</param>
    /// <param name="hostCr4">The host's CR4: PSE, PAE and LA57 choose the format.</param>
    /// <param name="hostEfer">The host's EFER: LMA chooses the format, NXE enables NX.</param>
    /// <param name="physicalAddressBits">The host's MAXPHYADDR, 32 to 52.</param>
    /// <param name="page1G">Whether 1 GiB pages are supported.</param>
    public NptState(ulong nestedCr3, ulong hostCr4, ulong hostEfer, byte physicalAddressBits, bool page1G = true)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(physicalAddressBits, (byte)32);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(physicalAddressBits, (byte)52);
        bool longMode = (hostEfer & PagingState.EferLMA) != 0;
        Paging = new PagingState(
            PagingState.Cr0PG | PagingState.Cr0WP | 1,
            longMode ? nestedCr3 & PageTableEntry.AddressMask4K : (uint)nestedCr3,
            hostCr4 & Modes,
            hostEfer & (PagingState.EferLMA | PagingState.EferNXE),
            AlignmentCheck: false,
            physicalAddressBits,
            page1G);
        AddressBits = Paging.Mode switch
        {
            PagingMode.FiveLevel => 57,
            PagingMode.FourLevel => 48,
            _ => 32,
        };
    }

    /// <summary>The nested tables as a state for the page walker. Keys, SMEP, SMAP and the like are off: they have no meaning here.</summary>
    public PagingState Paging { get; }

    /// <summary>How many bits of a guest-physical address are translated: 57, 48 or 32. An address with more is not present.</summary>
    public int AddressBits { get; }
}
