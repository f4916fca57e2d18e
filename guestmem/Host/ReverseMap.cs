namespace Quadwalk.GuestMemory;

/// <summary>Who maps a page (<c>mm/rmap.c</c>): by its file's ranges, or, for an anonymous page, by the address that it has in every process.</summary>
internal static class ReverseMap
{
    /// <summary>The processes and addresses whose entries hold a frame, in the order of the processes.</summary>
    public static List<(AddressSpace Process, Hva At)> Find(HostKernel kernel, Pfn frame)
    {
        List<(AddressSpace, Hva)> found = [];
        foreach ((AddressSpace process, Hva at) in Places(kernel, frame))
        {
            HostPte entry = process.Tables.Find(at, out int level);
            if (entry.HoldsPage && HostPageTable.FrameOf(entry, at, level) == frame)
            {
                found.Add((process, at));
            }
        }

        return found;
    }

    /// <summary>The processes and addresses whose entries stand for a page under migration.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="page">A frame that tells where the page belongs.</param>
    /// <param name="named">The frame that the entries name.</param>
    public static List<(AddressSpace Process, Hva At)> FindMigration(HostKernel kernel, Pfn page, Pfn named)
    {
        List<(AddressSpace, Hva)> found = [];
        foreach ((AddressSpace process, Hva at) in Places(kernel, page))
        {
            HostPte entry = process.Tables.Find(at, out int level);
            if (level == 1 && entry.IsMigration && entry.Frame == named)
            {
                found.Add((process, at));
            }
        }

        return found;
    }

    // Where an entry for the frame can be, whatever is there.
    private static IEnumerable<(AddressSpace Process, Hva At)> Places(HostKernel kernel, Pfn frame)
    {
        Pfn head = kernel.Frames.HeadOf(frame);
        PageFrame folio = kernel.Frames[head];
        ulong page = folio.Index + (frame.Value - head.Value);
        if (folio.Has(FrameFlags.Anon))
        {
            foreach (AddressSpace process in kernel.Processes)
            {
                yield return (process, new Hva(page << PageSize.Shift4K));
            }
        }
        else if (kernel.FileOf(folio.Mapping) is MemoryFile file)
        {
            foreach (VirtualMemoryArea area in file.Areas)
            {
                ulong offset = (page - area.Offset) << PageSize.Shift4K;
                if (page >= area.Offset && offset < area.End.Value - area.Start.Value)
                {
                    yield return (area.Owner, area.Start + offset);
                }
            }
        }
    }
}
