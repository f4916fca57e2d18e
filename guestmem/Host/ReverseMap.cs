namespace Quadwalk.GuestMemory;

/// <summary>Who maps a page (<c>mm/rmap.c</c>): by its file's ranges, or, for an anonymous page, by the address that it has in every process.</summary>
internal static class ReverseMap
{
    /// <summary>The processes and addresses whose entries hold a frame, in the order of the processes.</summary>
    public static List<(AddressSpace Process, Hva At)> Find(HostKernel kernel, Pfn frame)
    {
        List<(AddressSpace, Hva)> found = [];
        Pfn head = kernel.Frames.HeadOf(frame);
        ref PageFrame folio = ref kernel.Frames[head];
        ulong page = folio.Index + (frame.Value - head.Value);
        if (folio.Has(FrameFlags.Anon))
        {
            foreach (AddressSpace process in kernel.Processes)
            {
                Add(found, process, new Hva(page << PageSize.Shift4K), frame);
            }
        }
        else if (kernel.FileOf(folio.Mapping) is MemoryFile file)
        {
            foreach (VirtualMemoryArea area in file.Areas)
            {
                ulong offset = (page - area.Offset) << PageSize.Shift4K;
                if (page >= area.Offset && offset < area.End.Value - area.Start.Value)
                {
                    Add(found, area.Owner, area.Start + offset, frame);
                }
            }
        }

        return found;
    }

    private static void Add(List<(AddressSpace, Hva)> found, AddressSpace process, Hva at, Pfn frame)
    {
        HostPte entry = process.Tables.Find(at, out int level);
        if (entry.HoldsPage && HostPageTable.FrameOf(entry, at, level) == frame)
        {
            found.Add((process, at));
        }
    }
}
