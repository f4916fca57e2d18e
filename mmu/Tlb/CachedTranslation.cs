using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>A translation that a TLB holds.</summary>
/// <param name="Page">The linear address of the page.</param>
/// <param name="PageShift">log2 of its size: 12, 21, 22 or 30.</param>
/// <param name="Pcid">The PCID under which it was made; a global one serves all.</param>
/// <param name="Rights">What its walk found: rights, D, G and the memory type's bits.</param>
/// <param name="Frame">The guest-physical address of the page.</param>
public readonly record struct CachedTranslation(Gva Page, int PageShift, ushort Pcid, PageRights Rights, Gpa Frame)
{
    /// <summary>It is used whatever the PCID.</summary>
    public bool IsGlobal => (Rights & PageRights.Global) != 0;

    /// <summary>Its first linear address, and that of a page of another size, are equal in PCID and place.</summary>
    internal bool Covers(in CachedTranslation piece) =>
        PageShift >= piece.PageShift && (Page.Value ^ piece.Page.Value) >> PageShift == 0 && (IsGlobal || Pcid == piece.Pcid);
}
