namespace Quadwalk.GuestMemory;

/// <summary>
/// Where anonymous and shmem pages go when memory is short (<c>mm/swapfile.c</c>, <c>mm/swap_state.c</c>): slots with a count of the entries
/// that stand for each, and the swap cache: pages that are on their way in or out, found by their slot.
/// </summary>
public sealed class SwapArea
{
    private readonly HostKernel kernel;
    private readonly Dictionary<ulong, Slot> slots = [];
    private readonly Dictionary<Pfn, ulong> cached = [];
    private readonly Stack<ulong> free = new();
    private ulong next = 1;

    internal SwapArea(HostKernel kernel, ulong size)
    {
        (this.kernel, Size) = (kernel, size);
        Bit = kernel.Scope.Take();
    }

    /// <summary>How many pages it holds.</summary>
    public ulong Size { get; }

    /// <summary>How many slots are in use.</summary>
    public int Used => slots.Count;

    /// <summary>Pages written out so far.</summary>
    public long Writes { get; private set; }

    /// <summary>Pages read in so far.</summary>
    public long Reads { get; private set; }

    /// <summary>The bit by which steps say that they read or change it.</summary>
    public ulong Bit { get; }

    /// <summary>How many entries stand for a slot (swap_count); 0 if it is free.</summary>
    public int Count(ulong slot) => slots.TryGetValue(slot, out Slot? found) ? found.Count : 0;

    /// <summary>The page of a slot if it is in the swap cache.</summary>
    public Pfn? Cached(ulong slot) => slots.TryGetValue(slot, out Slot? found) ? found.Page : null;

    /// <summary>The slot of a page in the swap cache.</summary>
    internal ulong? SlotOf(Pfn page) => cached.TryGetValue(page, out ulong slot) ? slot : null;

    /// <summary>get_swap_page and add_to_swap_cache: a slot for a page, which gets a reference; false if there is none.</summary>
    internal bool TryAdd(Pfn page, out ulong slot)
    {
        if (TryTake(out slot))
        {
            Cache(slot, page);
            return true;
        }

        return false;
    }

    /// <summary>A slot with one entry that stands for it, for a page of a file, which goes out at once; false if there is none.</summary>
    internal bool TryWriteOut(Pfn page, out ulong slot)
    {
        if (!TryTake(out slot))
        {
            return false;
        }

        slots[slot].Count = 1;
        Write(slot, page);
        return true;
    }

    /// <summary>swap_duplicate: one more entry stands for a slot.</summary>
    internal void Duplicate(ulong slot) => slots[slot].Count++;

    /// <summary>swap_free and free_swap_and_cache: one entry less; with the last the slot goes, and its page leaves the swap cache.</summary>
    /// <remarks>A page that is locked is left to who has locked it: <see cref="Folios.Unlock"/> looks again.</remarks>
    internal void Free(ulong slot)
    {
        Slot found = slots[slot];
        found.Count--;
        if (found.Page is not Pfn page || !kernel.Frames[page].Has(FrameFlags.Locked))
        {
            Drop(slot);
        }
    }

    /// <summary>folio_free_swap: the slot goes if no entry stands for it, and its page leaves the swap cache.</summary>
    internal void Drop(ulong slot)
    {
        if (!slots.TryGetValue(slot, out Slot? found) || found.Count > 0)
        {
            return;
        }

        if (found.Page is Pfn page)
        {
            Uncache(slot);
            kernel.Folios.MarkDirty(page);
            kernel.Folios.Put(page);
        }

        slots.Remove(slot);
        free.Push(slot);
    }

    /// <summary>As <see cref="Drop"/>, of the slot that a page has, if any. A page that somebody has locked is left to them.</summary>
    internal void DropUnused(Pfn page)
    {
        if (SlotOf(page) is ulong slot && !kernel.Frames[page].Has(FrameFlags.Locked))
        {
            Drop(slot);
        }
    }

    /// <summary>delete_from_swap_cache: the slot holds the content from now on. The cache's reference is the caller's.</summary>
    internal void Uncache(ulong slot)
    {
        if (slots[slot].Page is Pfn page)
        {
            kernel.Frames[page].Flags &= ~FrameFlags.SwapCache;
            cached.Remove(page);
            slots[slot].Page = null;
        }
    }

    /// <summary>Puts another page in a page's place in the swap cache: what migration does; the cache's reference moves along.</summary>
    internal void Move(Pfn from, Pfn to)
    {
        ulong slot = cached[from];
        Uncache(slot);
        Cache(slot, to);
        kernel.Folios.Put(from);
    }

    /// <summary>Writes a page to its slot.</summary>
    internal void Write(ulong slot, Pfn page)
    {
        slots[slot].Content ??= new byte[PageSize.Size4K];
        kernel.Frames.Bytes(page).CopyTo(slots[slot].Content);
        Writes++;
    }

    /// <summary>Reads a slot into a page.</summary>
    internal void Read(ulong slot, Pfn page)
    {
        byte[] content = slots[slot].Content ?? throw new InvalidOperationException($"slot {slot} is read and was never written");
        content.CopyTo(kernel.Frames.Bytes(page));
        Reads++;
    }

    /// <summary>swap_readpage into a new page of the swap cache, whose only reference is the cache's; false if there is no frame.</summary>
    internal bool TryReadIn(ulong slot, int mapping, ulong index, out Pfn page)
    {
        if (kernel.Allocator.Allocate(0, FrameFlags.Anon) is not Pfn made)
        {
            page = default;
            return false;
        }

        page = made;
        ref PageFrame frame = ref kernel.Frames[made];
        (frame.Mapping, frame.Index) = (mapping, index);
        Read(slot, made);
        Cache(slot, made);
        kernel.Folios.Put(made);
        return true;
    }

    private bool TryTake(out ulong slot)
    {
        slot = 0;
        if ((ulong)slots.Count >= Size)
        {
            return false;
        }

        slot = free.TryPop(out ulong again) ? again : next++;
        slots[slot] = new Slot();
        return true;
    }

    private void Cache(ulong slot, Pfn page)
    {
        slots[slot].Page = page;
        cached[page] = slot;
        kernel.Frames[page].Flags |= FrameFlags.SwapCache;
        kernel.Folios.Get(page);
    }

    private sealed class Slot
    {
        public int Count { get; set; }

        public Pfn? Page { get; set; }

        public byte[]? Content { get; set; }
    }
}
