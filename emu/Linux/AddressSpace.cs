using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The memory of a process: its areas in ascending order, none overlapping, and the page tables that hold what was touched of them. Pages
/// are made at the first access, and copied at the first write after a fork.
/// </summary>
internal sealed partial class AddressSpace
{
    /// <summary>The end of what a program may map: the last page below 2^47 stays free, as in Linux (<c>TASK_SIZE_MAX</c>).</summary>
    public const ulong End = 0x7fff_ffff_f000;

    /// <summary>The size of the first stack (RLIMIT_STACK).</summary>
    public const ulong StackBytes = 8UL << 20;

    /// <summary>Where the search for a free range begins, downwards; below the stack with its guard.</summary>
    public const ulong MapTop = 0x7fff_f7ff_f000;

    /// <summary>The lowest address that may be mapped (vm.mmap_min_addr).</summary>
    public const ulong Lowest = 0x1_0000;

    private const int MostAreas = 4096;

    private readonly Machine machine;
    private readonly KernelGate gate;
    private readonly LinuxFrames frames;
    private readonly UserPageTable table;
    private readonly List<MemoryArea> areas = [];
    private int owners = 1;

    private AddressSpace(Machine machine, KernelGate gate, LinuxFrames frames, UserPageTable table)
    {
        this.machine = machine;
        this.gate = gate;
        this.frames = frames;
        this.table = table;
    }

    /// <summary>The PML4.</summary>
    public Gpa Root => table.Root;

    /// <summary>Where the heap begins, and where it ends now.</summary>
    public (ulong Start, ulong End) Heap { get; set; }

    /// <summary>Whether an access found no frame left; the process cannot go on.</summary>
    public bool Exhausted { get; private set; }

    /// <summary>An empty address space, or null without RAM for it.</summary>
    public static AddressSpace? TryCreate(Machine machine, KernelGate gate, LinuxFrames frames)
    {
        UserPageTable? table = UserPageTable.TryCreate(machine, frames, gate.Root);
        return table is null ? null : new AddressSpace(machine, gate, frames, table);
    }

    /// <summary>One process more runs in it (CLONE_VM).</summary>
    public AddressSpace Share()
    {
        owners++;
        return this;
    }

    /// <summary>One process less; the last frees everything.</summary>
    public void Release()
    {
        if (--owners == 0)
        {
            RemoveAreas(0, End);
            table.Free();
        }
    }

    /// <summary>A copy, whose private pages are shared until one of the two writes; null without RAM for it.</summary>
    public AddressSpace? TryFork()
    {
        AddressSpace? child = TryCreate(machine, gate, frames);
        if (child is null)
        {
            return null;
        }

        child.Heap = Heap;
        bool complete = true;
        foreach (MemoryArea area in areas)
        {
            child.Add(area);
            table.Update(area.Start, area.End - 1, (gva, entry) =>
            {
                ulong inherited = area.Shared is null ? entry & ~PageTableEntry.RWBit : entry;
                if (!complete || !child.table.TrySet(gva, inherited))
                {
                    complete = false;
                    return entry;
                }

                frames.Share(UserPageTable.FrameOf(entry));
                return inherited;
            });
        }

        gate.Flush(this);
        if (complete)
        {
            return child;
        }

        child.Release();
        return null;
    }

    /// <summary>The area that holds an address.</summary>
    public MemoryArea? Find(ulong gva)
    {
        int index = IndexOf(gva);
        return index < areas.Count && areas[index].Start <= gva ? areas[index] : null;
    }

    /// <summary>Whether no area touches a range.</summary>
    public bool IsFree(ulong start, ulong end)
    {
        int index = IndexOf(start);
        return index == areas.Count || areas[index].Start >= end;
    }

    /// <summary>The highest free range below <see cref="MapTop"/>, or null.</summary>
    public ulong? FindFree(ulong length)
    {
        ulong top = MapTop;
        for (int i = areas.Count - 1; i >= -1; i--)
        {
            ulong bottom = i < 0 ? Lowest : areas[i].End;
            if (bottom <= top && top - bottom >= length)
            {
                return top - length;
            }

            top = i < 0 ? top : Math.Min(top, areas[i].Start);
        }

        return null;
    }

    /// <summary>Maps an area in place of what was there; false when there are too many.</summary>
    public bool TryMap(MemoryArea area)
    {
        if (areas.Count + 2 > MostAreas)
        {
            return false;
        }

        Unmap(area.Start, area.End);
        Add(area);
        return true;
    }

    /// <summary>Unmaps a range; false when that would make too many areas.</summary>
    public bool TryUnmap(ulong start, ulong end)
    {
        if (areas.Count + 1 > MostAreas)
        {
            return false;
        }

        Unmap(start, end);
        return true;
    }

    /// <summary>Changes the rights of a range, all of which must be mapped: mprotect(2).</summary>
    public LinuxErrno? Protect(ulong start, ulong end, Protection protection)
    {
        for (ulong at = start; at < end;)
        {
            if (Find(at) is not { } area)
            {
                return LinuxErrno.ENOMEM;
            }

            if ((protection & Protection.Write) != 0 && !area.MayWrite)
            {
                return LinuxErrno.EACCES;
            }

            at = area.End;
        }

        if (areas.Count + 2 > MostAreas)
        {
            return LinuxErrno.ENOMEM;
        }

        List<MemoryArea> changed = [];
        foreach (MemoryArea area in Cut(start, end))
        {
            MemoryArea now = area with { Protection = protection };
            changed.Add(now);
            table.Update(now.Start, now.End - 1, (_, entry) => now.Entry(UserPageTable.FrameOf(entry), IsOwned(now, entry)) | (entry & Touched));
        }

        changed.ForEach(Insert);
        gate.Flush(this);
        return null;
    }

    /// <summary>Forgets what a range holds: MADV_DONTNEED.</summary>
    public void Discard(ulong start, ulong end)
    {
        foreach (MemoryArea area in areas)
        {
            ulong first = Math.Max(area.Start, start), last = Math.Min(area.End, end);
            if (first < last)
            {
                table.Update(first, last - 1, Drop);
            }
        }

        gate.Flush(this);
    }

    /// <summary>Moves the pages of one area, or a part, to a free range: mremap(2). False without RAM for page tables, or with too many areas.</summary>
    public bool TryMove(MemoryArea area, ulong target, ulong newLength)
    {
        if (areas.Count + 2 > MostAreas)
        {
            return false;
        }

        bool complete = true;
        ulong kept = Math.Min(area.End - area.Start, newLength);
        table.Update(area.Start, area.Start + kept - 1, (gva, entry) =>
        {
            complete = complete && table.TrySet(gva - area.Start + target, entry);
            return entry;
        });
        if (!complete)
        {
            table.Update(target, target + kept - 1, (_, _) => 0);
            return false;
        }

        table.Update(area.Start, area.Start + kept - 1, (_, _) => 0);
        area.Attach();
        Unmap(area.Start, area.End);
        Add(area with { Start = target, End = target + newLength });
        area.Detach();
        gate.Flush(this);
        return true;
    }

    /// <summary>The index of the first area that ends behind an address.</summary>
    private int IndexOf(ulong gva)
    {
        int low = 0;
        for (int high = areas.Count; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = areas[middle].End <= gva ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private void Unmap(ulong start, ulong end)
    {
        if (!IsFree(start, end))
        {
            RemoveAreas(start, end);
            gate.Flush(this);
        }
    }

    private void RemoveAreas(ulong start, ulong end)
    {
        foreach (MemoryArea area in Cut(start, end))
        {
            table.Update(area.Start, area.End - 1, Drop);
            area.Detach();
        }
    }

    private ulong Drop(ulong gva, ulong entry)
    {
        frames.Release(UserPageTable.FrameOf(entry));
        return 0;
    }

    /// <summary>Takes the areas of a range out of the list, leaving what lies beside it.</summary>
    private List<MemoryArea> Cut(ulong start, ulong end)
    {
        int first = IndexOf(start);
        List<MemoryArea> cut = [], kept = [];
        int last = first;
        for (; last < areas.Count && areas[last].Start < end; last++)
        {
            MemoryArea area = areas[last];
            cut.Add(area.Part(Math.Max(area.Start, start), Math.Min(area.End, end)));
            if (area.Start < start)
            {
                area.Attach();
                kept.Add(area.Part(area.Start, start));
            }

            if (area.End > end)
            {
                area.Attach();
                kept.Add(area.Part(end, area.End));
            }
        }

        areas.RemoveRange(first, last - first);
        areas.InsertRange(first, kept);
        return cut;
    }

    private void Add(MemoryArea area)
    {
        area.Attach();
        Insert(area);
    }

    /// <summary>Puts an area into its place, as one with neighbours that it continues.</summary>
    private void Insert(MemoryArea area)
    {
        int index = IndexOf(area.Start);
        if (index < areas.Count && area.Continues(areas[index]))
        {
            area = area with { End = areas[index].End };
            areas.RemoveAt(index);
        }

        if (index > 0 && areas[index - 1].Continues(area))
        {
            areas[index - 1] = areas[index - 1] with { End = area.End };
            return;
        }

        areas.Insert(index, area);
    }
}
