namespace Quadwalk.Tests;

/// <summary>The word of <see cref="Slot.Second"/>: which second stage there is, its controls, and which of its entries a sweep flips bits of.</summary>
internal readonly record struct NestedControls(ulong Word)
{
    public const ulong Npt = 1, AccessedDirty = 2, ModeBased = 4, ExecuteOnly = 8, Advanced = 16, NxEnabled = 32;

    public const int TableShift = 8, TableAtShift = 10, PageAtShift = 16;

    public bool IsNpt => (Word & Npt) != 0;

    /// <summary>The guest's table whose translation has bits flipped: 4 for the PML4 to 1 for a page table.</summary>
    public int Table => (int)((Word >> TableShift) & 3) + 1;

    /// <summary>The level at which that translation has bits flipped.</summary>
    public int TableVaried => (int)((Word >> TableAtShift) & 3) + 1;

    /// <summary>The level at which that translation ends.</summary>
    public int TableLeaf => (int)((Word >> (TableAtShift + 2)) & 3) + 1;

    public int PageVaried => (int)((Word >> PageAtShift) & 3) + 1;

    public int PageLeaf => (int)((Word >> (PageAtShift + 2)) & 3) + 1;

    /// <summary>The bits for levels, from 1.</summary>
    public static ulong At(int shift, int varied, int leaf) => (((ulong)varied - 1) | (((ulong)leaf - 1) << 2)) << shift;

    public bool Has(ulong control) => (Word & control) != 0;
}
