using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The 4-level page tables of one address space, in guest RAM (SDM Vol. 3A, 5.5). The lower half is its own and has pages of 4 KiB; the upper
/// half is the kernel's. A table without entries is freed.
/// </summary>
internal sealed class UserPageTable
{
    private const int Levels = 4, EntriesPerTable = 512, UserEntries = EntriesPerTable / 2;
    private const ulong Reference = PageTableEntry.PBit | PageTableEntry.RWBit | PageTableEntry.USBit;

    private readonly Machine machine;
    private readonly LinuxFrames frames;

    private UserPageTable(Machine machine, LinuxFrames frames, Gpa root)
    {
        this.machine = machine;
        this.frames = frames;
        Root = root;
    }

    /// <summary>The PML4.</summary>
    public Gpa Root { get; }

    /// <summary>Makes tables that map nothing but the kernel; null without a frame for them.</summary>
    /// <param name="machine">Its RAM holds the tables.</param>
    /// <param name="frames">Where they are taken from.</param>
    /// <param name="kernel">The PML4 whose upper half is copied.</param>
    public static UserPageTable? TryCreate(Machine machine, LinuxFrames frames, Gpa kernel)
    {
        if (!frames.TryTake(out Gpa root))
        {
            return null;
        }

        Span<ulong> entries = stackalloc ulong[EntriesPerTable];
        machine.ReadMemory(kernel, MemoryMarshal.AsBytes(entries));
        entries[..UserEntries].Clear();
        machine.WriteMemory(root, MemoryMarshal.AsBytes(entries));
        return new UserPageTable(machine, frames, root);
    }

    /// <summary>The frame that an entry maps.</summary>
    public static Gpa FrameOf(ulong entry) => new(entry & PageTableEntry.AddressMask4K);

    /// <summary>The entry of a page; 0 where there is none.</summary>
    public ulong Get(ulong gva)
    {
        Gpa table = Root;
        for (int level = Levels; ; level--)
        {
            ulong entry = Read(EntryAt(table, gva, level));
            if (level == 1 || entry == 0)
            {
                return entry;
            }

            table = FrameOf(entry);
        }
    }

    /// <summary>Sets the entry of a page; false, with nothing set, when RAM for tables ran out.</summary>
    public bool TrySet(ulong gva, ulong entry)
    {
        Gpa table = Root;
        for (int level = Levels; level > 1; level--)
        {
            Gpa at = EntryAt(table, gva, level);
            ulong reference = Read(at);
            if (reference == 0)
            {
                if (!frames.TryTake(out Gpa below))
                {
                    return false;
                }

                Clear(machine, below);
                reference = below.Value | Reference;
                Write(at, reference);
            }

            table = FrameOf(reference);
        }

        Write(EntryAt(table, gva, 1), entry);
        return true;
    }

    /// <summary>Replaces each entry of a range by what <paramref name="change"/> makes of it; 0 takes it away.</summary>
    /// <param name="first">The first address.</param>
    /// <param name="last">The last address, in the lower half.</param>
    /// <param name="change">From the page's address and its entry, which is not 0, to the new entry.</param>
    public void Update(ulong first, ulong last, Func<ulong, ulong, ulong> change) => Update(Root, Levels, first, last, change);

    /// <summary>Frees the tables, whose pages must be gone.</summary>
    public void Free() => frames.Release(Root);

    /// <summary>Fills a frame with zeros.</summary>
    public static void Clear(Machine machine, Gpa frame)
    {
        Span<byte> zeros = stackalloc byte[(int)PageSize.Size4K];
        zeros.Clear();
        machine.WriteMemory(frame, zeros);
    }

    private bool Update(Gpa table, int level, ulong first, ulong last, Func<ulong, ulong, ulong> change)
    {
        Span<ulong> entries = stackalloc ulong[EntriesPerTable];
        machine.ReadMemory(table, MemoryMarshal.AsBytes(entries));
        int shift = ShiftOf(level);
        ulong span = (1UL << shift) - 1;
        for (ulong from = first; ; from = (from | span) + 1)
        {
            ulong to = Math.Min(from | span, last);
            int index = (int)(from >> shift) & (EntriesPerTable - 1);
            ulong entry = entries[index];
            if (entry != 0)
            {
                entries[index] = level == 1 ? change(from & ~PageSize.Mask4K, entry) : UpdateBelow(entry, level, from, to, change);
                if (entries[index] != entry)
                {
                    Write(table + (ulong)index * sizeof(ulong), entries[index]);
                }
            }

            if (to == last)
            {
                return level != Levels && entries.IndexOfAnyExcept(0UL) < 0;
            }
        }
    }

    private ulong UpdateBelow(ulong entry, int level, ulong first, ulong last, Func<ulong, ulong, ulong> change)
    {
        if (!Update(FrameOf(entry), level - 1, first, last, change))
        {
            return entry;
        }

        frames.Release(FrameOf(entry));
        return 0;
    }

    private static int ShiftOf(int level) => PageSize.Shift4K + 9 * (level - 1);

    private static Gpa EntryAt(Gpa table, ulong gva, int level) =>
        table + ((gva >> ShiftOf(level)) & (EntriesPerTable - 1)) * sizeof(ulong);

    private ulong Read(Gpa at)
    {
        ulong value = 0;
        machine.ReadMemory(at, MemoryMarshal.AsBytes(new Span<ulong>(ref value)));
        return value;
    }

    private void Write(Gpa at, ulong value) => machine.WriteMemory(at, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value)));
}
