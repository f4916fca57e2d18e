namespace Quadwalk.Mmu;

/// <summary>
/// The four registers that hold the page-directory-pointer-table entries of PAE paging (SDM Vol. 3A, section 5.4.1). They are loaded
/// when CR3 is, and not read from memory again until the next load.
/// </summary>
/// <param name="Pdpte0">For linear addresses from 0.</param>
/// <param name="Pdpte1">For linear addresses from 1 GiB.</param>
/// <param name="Pdpte2">For linear addresses from 2 GiB.</param>
/// <param name="Pdpte3">For linear addresses from 3 GiB.</param>
public readonly record struct PdpteRegisters(ulong Pdpte0, ulong Pdpte1, ulong Pdpte2, ulong Pdpte3)
{
    /// <summary>How many there are.</summary>
    public const int Count = 4;

    private const ulong AddressOfTable = 0xffff_ffe0;
    private const ulong LowReserved = 0x1e6;

    /// <summary>A register by its number.</summary>
    /// <param name="index">0 to 3.</param>
    public ulong this[int index] => index switch
    {
        0 => Pdpte0,
        1 => Pdpte1,
        2 => Pdpte2,
        3 => Pdpte3,
        _ => throw new ArgumentOutOfRangeException(nameof(index), index, "There are four PDPTEs."),
    };

    /// <summary>Where a register is loaded from: the table of 32 bytes at bits 31:5 of CR3 (SDM Vol. 3A, table 5-7).</summary>
    /// <param name="cr3">CR3.</param>
    /// <param name="index">0 to 3.</param>
    public static GuestMemory.Gpa AddressOf(ulong cr3, int index) => new((cr3 & AddressOfTable) + ((ulong)index * sizeof(ulong)));

    /// <summary>The reserved bits that are 1 in an entry whose P flag is 1: loading it raises #GP (SDM Vol. 3A, table 5-8).</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR, 32 to 52.</param>
    public static ulong ReservedBitsIn(ulong entry, byte physicalAddressBits) =>
        (entry & PageTableEntry.PBit) == 0 ? 0 : entry & (LowReserved | (ulong.MaxValue << physicalAddressBits));
}
