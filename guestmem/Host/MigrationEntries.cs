namespace Quadwalk.GuestMemory;

/// <summary>The entries that stand for a page while it moves or is taken apart (<c>try_to_migrate_one</c>, <c>remove_migration_ptes</c>).</summary>
internal static class MigrationEntries
{
    /// <summary>Puts one in the place of an entry of level 1 that maps a frame; the entry's reference and mapcount go.</summary>
    /// <returns>False where the entry is another by now, or the page is pinned and the process's own: it stays mapped then.</returns>
    public static bool TryPut(HostKernel kernel, AddressSpace process, Hva at, Pfn frame)
    {
        if (!kernel.IsAlive(process))
        {
            return false;
        }

        HostPte entry = process.Tables.Find(at, out int level);
        if (level != 1 || !entry.HoldsPage || entry.Frame != frame)
        {
            return false;
        }

        ref PageFrame folio = ref kernel.Frames.FolioOf(frame);
        bool exclusive = folio.Has(FrameFlags.AnonExclusive);
        if (exclusive && folio.PinCount > 0 && !kernel.Injects(InjectedFaults.MigratePinned))
        {
            return false;
        }

        process.Tables.Replace(at, 1, HostPte.Migration(frame, entry, exclusive));
        process.Flushes++;
        if (entry.IsDirty)
        {
            kernel.Folios.MarkDirty(frame);
        }

        folio.MapCount--;
        kernel.Folios.Put(frame);
        return true;
    }

    /// <summary>Puts a page in the place of one, with the rights that the range has by now.</summary>
    /// <param name="process">The process.</param>
    /// <param name="at">The address.</param>
    /// <param name="old">The frame that the entry names.</param>
    /// <param name="now">The frame that the page has.</param>
    public static void Remove(AddressSpace process, Hva at, Pfn old, Pfn now)
    {
        if (!process.Kernel.IsAlive(process))
        {
            return;
        }

        HostPte entry = process.Tables.Find(at, out int level);
        if (level != 1 || !entry.IsMigration || entry.Frame != old || process.Find(at) is not VirtualMemoryArea area)
        {
            return;
        }

        HostPte back = area.EntryFor(now, entry.WasWritable && (area.Flags & VmFlags.Write) != 0);
        const ulong marks = HostPte.AccessedBit | HostPte.DirtyBit;
        process.Tables.Replace(at, 1, new HostPte((back.Raw & ~marks) | (entry.Raw & marks)));
        ref PageFrame folio = ref process.Kernel.Frames.FolioOf(now);
        folio.MapCount++;
        folio.Flags |= entry.IsExclusive ? FrameFlags.AnonExclusive : FrameFlags.None;
        process.Kernel.Folios.Get(now);
    }

    /// <summary>Removes all that are left, those among them that a fork has copied meanwhile.</summary>
    public static void RemoveAll(HostKernel kernel, Pfn old, Pfn now)
    {
        foreach ((AddressSpace process, Hva at) in ReverseMap.FindMigration(kernel, now, old))
        {
            Remove(process, at, old, now);
        }
    }
}
