namespace Quadwalk.GuestMemory;

/// <summary>One installed translation of the second stage: a frame and permissions, and nothing about what kind of page it is.</summary>
/// <param name="Frame">The host frame of the first guest frame.</param>
/// <param name="Level">1: 4 KiB, 2: 2 MiB, 3: 1 GiB.</param>
/// <param name="Writable">The guest may write.</param>
/// <param name="Accessed">The guest has used it since this was last cleared.</param>
/// <param name="Dirty">The guest has written it.</param>
/// <param name="Private">The guest reaches it as private memory.</param>
public readonly record struct StageTwoEntry(Pfn Frame, int Level, bool Writable, bool Accessed = true, bool Dirty = false, bool Private = false);

/// <summary>
/// The second stage of one virtual machine as its hypervisor keeps it: which guest frames have a translation, of which size. It holds no
/// references; whoever changes it has the mmu lock.
/// </summary>
public sealed class StageTwoMap
{
    private readonly Dictionary<ulong, StageTwoEntry>[] levels = [[], [], []];

    /// <summary>How many translations there are.</summary>
    public int Count => levels[0].Count + levels[1].Count + levels[2].Count;

    /// <summary>Translations made so far.</summary>
    public long Installs { get; private set; }

    /// <summary>Translations removed so far.</summary>
    public long Zaps { get; private set; }

    /// <summary>All translations: the first guest frame of each, and what it is.</summary>
    public IEnumerable<(Gfn First, StageTwoEntry Entry)> Entries =>
        levels.SelectMany((map, index) => map.Select(pair => (new Gfn(pair.Key << HostPageTable.OrderOf(index + 1)), pair.Value)));

    /// <summary>The translation that a guest frame has, and the host frame behind it.</summary>
    public bool TryFind(Gfn gfn, out StageTwoEntry entry, out Pfn frame)
    {
        for (int level = 1; level <= 3; level++)
        {
            int order = HostPageTable.OrderOf(level);
            if (levels[level - 1].TryGetValue(gfn.Value >> order, out entry))
            {
                frame = new Pfn(entry.Frame.Value + (gfn.Value & ((1UL << order) - 1)));
                return true;
            }
        }

        (entry, frame) = (default, default);
        return false;
    }

    /// <summary>Makes a translation; smaller and larger ones of the same frames go.</summary>
    /// <param name="gfn">A guest frame in it.</param>
    /// <param name="entry">The translation; <see cref="StageTwoEntry.Frame"/> is that of the first guest frame of its size.</param>
    public void Install(Gfn gfn, StageTwoEntry entry)
    {
        int order = HostPageTable.OrderOf(entry.Level);
        ulong first = gfn.Value >> order << order;
        if (!levels[entry.Level - 1].ContainsKey(gfn.Value >> order))
        {
            Zap(new Gfn(first), 1UL << order);
        }

        levels[entry.Level - 1][gfn.Value >> order] = entry;
        Installs++;
    }

    /// <summary>Changes a translation in place, such as its marks.</summary>
    public void Update(Gfn gfn, StageTwoEntry entry) => levels[entry.Level - 1][gfn.Value >> HostPageTable.OrderOf(entry.Level)] = entry;

    /// <summary>Removes every translation that touches a range.</summary>
    /// <param name="first">The first guest frame.</param>
    /// <param name="count">How many.</param>
    /// <param name="removed">Receives them; null: nobody cares.</param>
    /// <returns>How many translations there were.</returns>
    public int Zap(Gfn first, ulong count, List<StageTwoEntry>? removed = null)
    {
        int zapped = 0;
        for (int level = 1; level <= 3; level++)
        {
            Dictionary<ulong, StageTwoEntry> map = levels[level - 1];
            int order = HostPageTable.OrderOf(level);
            ulong from = first.Value >> order;
            ulong to = (first.Value + count - 1) >> order;
            if (to - from > (ulong)map.Count)
            {
                foreach (ulong key in map.Keys)
                {
                    zapped += key >= from && key <= to && Remove(map, key, removed) ? 1 : 0;
                }

                continue;
            }

            for (ulong key = from; key <= to; key++)
            {
                zapped += Remove(map, key, removed) ? 1 : 0;
            }
        }

        Zaps += zapped;
        return zapped;
    }

    /// <summary>Takes the right to write from every translation that touches a range.</summary>
    /// <param name="first">The first guest frame.</param>
    /// <param name="count">How many.</param>
    /// <returns>Whether one had it.</returns>
    public bool WriteProtect(Gfn first, ulong count)
    {
        bool any = false;
        foreach ((Gfn at, StageTwoEntry entry) in Touching(first, count))
        {
            if (entry.Writable)
            {
                Update(at, entry with { Writable = false });
                any = true;
            }
        }

        return any;
    }

    /// <summary>Replaces every large translation that touches a range by ones of 4 KiB to the same frames, with the same rights.</summary>
    /// <param name="first">The first guest frame.</param>
    /// <param name="count">How many.</param>
    public void Split(Gfn first, ulong count)
    {
        foreach ((Gfn at, StageTwoEntry entry) in Touching(first, count))
        {
            if (entry.Level == 1)
            {
                continue;
            }

            int order = HostPageTable.OrderOf(entry.Level);
            levels[entry.Level - 1].Remove(at.Value >> order);
            for (ulong i = 0; i < 1UL << order; i++)
            {
                levels[0][at.Value + i] = entry with { Frame = new Pfn(entry.Frame.Value + i), Level = 1 };
            }
        }
    }

    /// <summary>The translations that touch a range: the first guest frame of each, and what it is.</summary>
    /// <param name="first">The first guest frame.</param>
    /// <param name="count">How many.</param>
    public IReadOnlyList<(Gfn First, StageTwoEntry Entry)> Touching(Gfn first, ulong count)
    {
        List<(Gfn, StageTwoEntry)> found = [];
        for (int level = 1; level <= 3; level++)
        {
            int order = HostPageTable.OrderOf(level);
            ulong from = first.Value >> order;
            ulong to = (first.Value + count - 1) >> order;
            if (to - from > (ulong)levels[level - 1].Count)
            {
                found.AddRange(levels[level - 1].Where(pair => pair.Key >= from && pair.Key <= to).Select(pair => (new Gfn(pair.Key << order), pair.Value)));
                continue;
            }

            for (ulong key = from; key <= to; key++)
            {
                if (levels[level - 1].TryGetValue(key, out StageTwoEntry entry))
                {
                    found.Add((new Gfn(key << order), entry));
                }
            }
        }

        return found;
    }

    private static bool Remove(Dictionary<ulong, StageTwoEntry> map, ulong key, List<StageTwoEntry>? removed)
    {
        bool found = map.Remove(key, out StageTwoEntry entry);
        if (found)
        {
            removed?.Add(entry);
        }

        return found;
    }
}
