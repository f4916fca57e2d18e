namespace Quadwalk.GuestMemory;

/// <summary>A page of the guest that a path has at hand, from opening to closing it.</summary>
internal struct GuestHold
{
    /// <summary>Where its bytes are.</summary>
    public Pfn Frame;

    /// <summary>The guest frame.</summary>
    public Gfn Gfn;

    /// <summary>The slot that shows it.</summary>
    public Memslot Slot;

    /// <summary>A reference to it is held.</summary>
    public bool Counted;

    /// <summary>Where a window shows it.</summary>
    public int WindowPage;
}
