using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>What the counts of all frames must be, told from whoever holds them: tables and their entries, page caches, and holders of references.</summary>
internal static class FrameCensus
{
    /// <summary>What does not add up in a world in which nothing is going on; null: nothing.</summary>
    public static string? Problem(RandomWorld world)
    {
        HostKernel kernel = world.Kernel;
        (int References, int Mapped, int Pins)[] expected = new (int, int, int)[kernel.Frames.Count];
        ulong used = kernel.Options.ReservedFrames + (ulong)world.DriverFrames.Count - 1;
        expected[world.DriverFrames[0].Value].References = 1;
        Dictionary<ulong, int> inSwap = [];
        foreach (AddressSpace process in kernel.Processes)
        {
            HostTables.Visit(kernel, process, table => expected[table.Value].References++, (word, _) =>
            {
                HostPte entry = new(word);
                if (entry.IsSwap)
                {
                    inSwap[entry.SwapSlot] = inSwap.GetValueOrDefault(entry.SwapSlot) + 1;
                }

                if (entry.HoldsPage)
                {
                    ref (int References, int Mapped, int Pins) folio = ref expected[kernel.Frames.HeadOf(entry.Frame).Value];
                    (folio.References, folio.Mapped) = (folio.References + 1, folio.Mapped + 1);
                }
            });
        }

        int slots = inSwap.Count;
        foreach ((ulong slot, int entries) in inSwap)
        {
            if (kernel.Swap.Count(slot) != entries)
            {
                return $"{entries} entries stand for page {slot} of swap, which counts {kernel.Swap.Count(slot)}";
            }

            if (kernel.Swap.Cached(slot) is Pfn cached)
            {
                expected[cached.Value].References++;
            }
        }

        foreach (MemoryFile file in world.Files)
        {
            slots += file.SwappedPages;
            for (ulong page = 0; page < file.Size; page++)
            {
                if (file.Cached(page) is Pfn frame)
                {
                    expected[kernel.Frames.HeadOf(frame).Value].References++;
                }
            }
        }

        if (slots != kernel.Swap.Used)
        {
            return $"{slots} pages of swap have an owner, and {kernel.Swap.Used} are used";
        }

        foreach (Pfn frame in world.KernelFrames)
        {
            expected[frame.Value].References = 1;
        }

        foreach (WorldHold hold in world.Held)
        {
            ref (int References, int Mapped, int Pins) folio = ref expected[kernel.Frames.HeadOf(hold.Frame).Value];
            (folio.References, folio.Pins) = (folio.References + 1, folio.Pins + (hold.Pin ? 1 : 0));
        }

        foreach (Pfn frame in world.DirectUses)
        {
            expected[kernel.Frames.HeadOf(frame).Value].References++;
        }

        for (ulong pfn = kernel.Options.ReservedFrames; pfn < kernel.Frames.Count; pfn++)
        {
            PageFrame frame = kernel.Frames[new Pfn(pfn)];
            (int references, int mapped, int pins) = expected[pfn];
            if (!frame.Has(FrameFlags.Tail) && (frame.RefCount, frame.MapCount, frame.PinCount) != (references, mapped, pins))
            {
                return $"frame {pfn:x} ({frame.Flags}, page {frame.Index:x} of {frame.Mapping}) has refcount {frame.RefCount}, mapcount {frame.MapCount} and pincount {frame.PinCount}; those who hold it are {references}, {mapped} and {pins}";
            }

            used += references > 0 ? 1UL << frame.Order : 0;
        }

        ulong all = used + kernel.Allocator.FreeFrames + kernel.Allocator.OfflineFrames;
        return all == kernel.Frames.Count ? null : $"{used} frames are used, {kernel.Allocator.FreeFrames} free and {kernel.Allocator.OfflineFrames} offline, of {kernel.Frames.Count}";
    }
}
