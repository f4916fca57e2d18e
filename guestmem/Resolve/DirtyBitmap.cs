namespace Quadwalk.GuestMemory;

/// <summary>Which pages of a memslot were written, a bit a page (<c>kvm_memory_slot.dirty_bitmap</c>).</summary>
internal sealed class DirtyBitmap
{
    private readonly ulong[] words;

    public DirtyBitmap(ulong pages, bool allSet)
    {
        words = new ulong[(pages + 63) / 64];
        for (ulong page = 0; allSet && page < pages; page++)
        {
            Set(page);
        }
    }

    public void Set(ulong page) => words[page / 64] |= 1UL << (int)(page % 64);

    public ulong[] Copy() => [.. words];

    /// <summary>Clears the bits of a mask in a word, and gives those of them that were set.</summary>
    public ulong Clear(int word, ulong mask)
    {
        ulong set = words[word] & mask;
        words[word] &= ~mask;
        return set;
    }
}
