using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The entries that a walk used, by level: 5 (PML5E) to 1 (PTE). PDPTE registers of PAE paging stand at level 3.</summary>
internal struct TablePath
{
    /// <summary>Only PAE paging begins at a PDPTE.</summary>
    private const int PdpteRegisterTop = 3;

    private Slots slots;

    /// <summary>The highest level there is; 0 where there is none.</summary>
    public byte Top { get; private set; }

    /// <summary>The lowest.</summary>
    public byte Bottom { get; private set; }

    public readonly WalkStepEntry this[int level] => slots[level];

    /// <summary>Whether there is an entry of a level.</summary>
    public readonly bool Has(int level) => level >= Bottom && level <= Top && level != 0;

    /// <summary>Adds an entry; one not below the last means that the walk began again.</summary>
    public void Add(int level, Gpa address, PageTableEntry entry)
    {
        Top = Top == 0 || level > Top ? (byte)level : Top;
        Bottom = (byte)level;
        slots[level] = new(address, entry);
    }

    /// <summary>Notes that flags of an entry were set.</summary>
    public void Update(int level, Gpa address, PageTableEntry entry) => slots[level] = new(address, entry);

    /// <summary>The part from the top down to a level.</summary>
    public readonly TablePath DownTo(int level)
    {
        TablePath part = this;
        part.Bottom = (byte)level;
        return part;
    }

    /// <summary>U/S, R/W and NX over all entries; PDPTE registers withhold nothing.</summary>
    public readonly PageRights Rights()
    {
        ulong all = ulong.MaxValue;
        ulong any = 0;
        for (int level = Top == PdpteRegisterTop ? Top - 1 : Top; level >= Bottom && level != 0; level--)
        {
            all &= slots[level].Entry.Raw;
            any |= slots[level].Entry.Raw;
        }

        PageRights rights = (all & PageTableEntry.USBit) != 0 ? PageRights.User : PageRights.None;
        rights |= (all & PageTableEntry.RWBit) != 0 ? PageRights.Write : 0;
        return (any & PageTableEntry.NXBit) != 0 ? rights | PageRights.NoExecute : rights;
    }

    [InlineArray(TlbStatistics.WalkLevels)]
    private struct Slots
    {
        private WalkStepEntry first;
    }
}
