using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>A process's page tables: four levels in frames of the host, with pages of 4 KiB, 2 MiB and 1 GiB.</summary>
/// <remarks>Levels are numbered as the hardware walks them down: 4 to 1; a page of level 3 has 1 GiB. Addresses are those of the lower half.</remarks>
public sealed class HostPageTable
{
    /// <summary>The level of the root.</summary>
    public const int TopLevel = 4;

    /// <summary>The first address that a process does not have.</summary>
    public const ulong UserEnd = 1UL << 47;

    private const int IndexBits = 9;

    private readonly PageFrames frames;
    private readonly PageAllocator allocator;
    private readonly Folios folios;

    internal HostPageTable(HostKernel kernel)
        : this(kernel, AllocateRoot(kernel) ?? throw new HostOutOfFramesException("the root of a page table"))
    {
    }

    private HostPageTable(HostKernel kernel, Pfn root)
    {
        frames = kernel.Frames;
        allocator = kernel.Allocator;
        folios = kernel.Folios;
        Root = root;
        Real = kernel.Mirror?.Add(this);
    }

    /// <summary>The frame of the root table.</summary>
    public Pfn Root { get; private set; }

    /// <summary>What makes every change real at once; null: nothing does.</summary>
    internal RealAddressSpace? Real { get; }

    /// <summary>How many tables there are below the root.</summary>
    public int Tables { get; private set; }

    /// <summary>Makes empty tables; null if there is no frame for the root.</summary>
    internal static HostPageTable? TryCreate(HostKernel kernel) => AllocateRoot(kernel) is Pfn root ? new HostPageTable(kernel, root) : null;

    /// <summary>log2 of the bytes that an entry of a level maps.</summary>
    public static int Shift(int level) => PageSize.Shift4K + (IndexBits * (level - 1));

    /// <summary>log2 of the frames that an entry of a level maps.</summary>
    public static int OrderOf(int level) => IndexBits * (level - 1);

    /// <summary>The entry that decides about an address, each table entry on the way read once: a leaf, or one that is not present.</summary>
    /// <param name="hva">The address.</param>
    /// <param name="level">The entry's level.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public HostPte Find(Hva hva, out int level)
    {
        Pfn table = Root;
        for (level = TopLevel; ; level--)
        {
            HostPte entry = new(Volatile.Read(ref Slot(table, hva.Value, level)));
            if (level == 1 || !entry.IsPresent || entry.IsLarge)
            {
                return entry;
            }

            table = entry.Frame;
        }
    }

    /// <summary>The entry of a level for an address in a table, read once.</summary>
    /// <param name="table">The table's frame.</param>
    /// <param name="hva">The address.</param>
    /// <param name="level">The table's level.</param>
    internal HostPte Read(Pfn table, Hva hva, int level) => new(Volatile.Read(ref Slot(table, hva.Value, level)));

    /// <summary>The table that holds the pages of 4 KiB round an address; null where there is none.</summary>
    internal Pfn? LastTable(Hva hva)
    {
        Pfn table = Root;
        for (int level = TopLevel; level > 1; level--)
        {
            HostPte entry = Read(table, hva, level);
            if (!entry.IsPresent || entry.IsLarge)
            {
                return null;
            }

            table = entry.Frame;
        }

        return table;
    }

    /// <summary>Gives back a table that no entry refers to any more.</summary>
    internal void FreeTable(Pfn table)
    {
        Tables--;
        folios.Put(table);
    }

    /// <summary>
    /// One look-up that gives the frame of a byte and the level that maps it, and takes no reference: whoever uses it is protected by a
    /// notifier.
    /// </summary>
    /// <param name="hva">The address.</param>
    /// <param name="frame">The frame of the 4 KiB page that holds it.</param>
    /// <param name="level">The level of the entry that maps it.</param>
    /// <param name="writable">Whether the entry is writable.</param>
    /// <returns>False if nothing is mapped there.</returns>
    public bool LookupPfn(Hva hva, out Pfn frame, out int level, out bool writable)
    {
        HostPte entry = Find(hva, out level);
        frame = FrameOf(entry, hva, level);
        writable = entry.IsWritable;
        return entry.IsPresent;
    }

    /// <summary>The frame of the 4 KiB page at an address, given the leaf that maps it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pfn FrameOf(HostPte leaf, Hva hva, int level) =>
        new(leaf.Frame.Value + ((hva.Value >> PageSize.Shift4K) & ((1UL << OrderOf(level)) - 1)));

    /// <summary>Puts an entry in its place, making the tables above it.</summary>
    /// <param name="hva">An address that it decides about.</param>
    /// <param name="level">Its level.</param>
    /// <param name="entry">The entry.</param>
    /// <returns>False if there is no frame for a table.</returns>
    /// <exception cref="InvalidOperationException">A larger page is mapped there, or tables are.</exception>
    public bool TrySet(Hva hva, int level, HostPte entry)
    {
        Pfn table = Root;
        for (int above = TopLevel; above > level; above--)
        {
            ref ulong slot = ref Slot(table, hva.Value, above);
            HostPte reference = new(slot);
            if (reference.IsLargePage)
            {
                throw new InvalidOperationException($"{hva} is mapped by a page of level {above}: split it first");
            }

            if (!reference.IsPresent)
            {
                if (allocator.Allocate(flags: FrameFlags.Kernel) is not Pfn made)
                {
                    return false;
                }

                Tables++;
                reference = HostPte.Table(made);
                slot = reference.Raw;
            }

            table = reference.Frame;
        }

        ref ulong place = ref Slot(table, hva.Value, level);
        HostPte old = new(place);
        if (level > 1 && old.IsPresent && !old.IsLarge)
        {
            if (!IsEmpty(old.Frame))
            {
                throw new InvalidOperationException($"tables lie below {hva} at level {level}: collapse them first");
            }

            folios.Put(old.Frame);
            Tables--;
        }

        Volatile.Write(ref place, entry.Raw);
        Real?.Changed(hva, level);
        return true;
    }

    /// <summary>Replaces the entry that decides about an address, whatever its level; it must be a leaf or not present at that level.</summary>
    /// <param name="hva">The address.</param>
    /// <param name="level">The level that <see cref="Find"/> gave.</param>
    /// <param name="entry">The new entry.</param>
    public void Replace(Hva hva, int level, HostPte entry)
    {
        Pfn table = Root;
        for (int above = TopLevel; above > level; above--)
        {
            table = new HostPte(Slot(table, hva.Value, above)).Frame;
        }

        Volatile.Write(ref Slot(table, hva.Value, level), entry.Raw);
        Real?.Changed(hva, level);
    }

    /// <summary>Replaces a page of 2 MiB or 1 GiB by 512 pages of the next size with the same rights.</summary>
    /// <param name="hva">An address in it.</param>
    /// <returns>False if there is no frame for the table.</returns>
    public bool TrySplit(Hva hva)
    {
        HostPte leaf = Find(hva, out int level);
        if (!leaf.IsLargePage)
        {
            return true;
        }

        if (allocator.Allocate(flags: FrameFlags.Kernel) is not Pfn made)
        {
            return false;
        }

        Tables++;
        Span<ulong> entries = Entries(made);
        ulong step = PageSize.Size4K << OrderOf(level - 1);
        ulong first = level == 2 ? leaf.Raw & ~HostPte.LargeBit : leaf.Raw;
        for (int i = 0; i < entries.Length; i++)
        {
            entries[i] = first + ((ulong)i * step);
        }

        Replace(hva, level, HostPte.Table(made));
        return true;
    }

    /// <summary>The first entry in a range that is not empty.</summary>
    /// <param name="start">Where to begin.</param>
    /// <param name="end">The first address after the range.</param>
    /// <param name="at">An address in the range that the entry decides about.</param>
    /// <param name="entry">The entry: a leaf, or one that is not present and stands for something.</param>
    /// <param name="level">Its level.</param>
    public bool TryNext(Hva start, Hva end, out Hva at, out HostPte entry, out int level)
    {
        ulong address = start.Value;
        while (address < end.Value)
        {
            entry = Find(new Hva(address), out level);
            if (!entry.IsNone)
            {
                at = new Hva(address);
                return true;
            }

            address = ((address >> Shift(level)) + 1) << Shift(level);
        }

        (at, entry, level) = (default, default, 0);
        return false;
    }

    /// <summary>Gives all tables back. Pages that are still mapped keep their counts: unmap first.</summary>
    internal void Free()
    {
        Real?.Dispose();
        FreeBelow(Root, TopLevel);
        Tables = 0;
    }

    private static Pfn? AllocateRoot(HostKernel kernel)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        return kernel.Allocator.Allocate(flags: FrameFlags.Kernel);
    }

    private void FreeBelow(Pfn table, int level)
    {
        if (level > 1)
        {
            foreach (ulong raw in Entries(table))
            {
                HostPte entry = new(raw);
                if (entry.IsPresent && !entry.IsLarge)
                {
                    FreeBelow(entry.Frame, level - 1);
                }
            }
        }

        folios.Put(table);
    }

    private bool IsEmpty(Pfn table) => !Entries(table).ContainsAnyExcept(0UL);

    private Span<ulong> Entries(Pfn table) => MemoryMarshal.Cast<byte, ulong>(frames.Bytes(table));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref ulong Slot(Pfn table, ulong hva, int level) => ref frames.Word(table, hva >> Shift(level));
}
