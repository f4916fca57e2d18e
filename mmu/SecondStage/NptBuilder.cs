using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Builds nested page tables of 8-byte entries in host frames (AMD APM Vol. 2, section 15.25). Every page is a user page; entries that reference tables allow everything.</summary>
/// <remarks>What cannot be done leaves the tables as they were, except where table memory runs out or fails half-way.</remarks>
public sealed class NptBuilder
{
    private readonly SecondStageEditor<NptEncoding> editor;

    /// <summary>Starts with an empty table of the highest level.</summary>
    /// <param name="frames">Where tables are built; they go back to it when they become empty.</param>
    /// <param name="levels">4 or 5.</param>
    /// <exception cref="InvalidOperationException">There is no frame.</exception>
    public NptBuilder(ISecondStageFrames frames, int levels = 4) => editor = new(frames, levels);

    /// <summary>The table of the highest level.</summary>
    public Hpa Root => editor.Root;

    /// <summary>How many frames hold tables.</summary>
    public int TableFrames => editor.TableFrames;

    /// <summary>Maps a range of guest-physical addresses to host-physical memory. A and D flags start at 0.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="hpa">What it is mapped to; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">Read, with write and execute or without.</param>
    /// <param name="patIndex">Which field of the host's PAT gives the memory type: PAT, PCD and PWT as a number, 0 to 7.</param>
    /// <param name="largestPageShift">log2 of the largest page to use, 12, 21 or 30, where both addresses are aligned and the range is long enough.</param>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or rights, an index or a page size that no entry has.</exception>
    /// <exception cref="InvalidOperationException">Part of the range is mapped already, or table memory ran out or failed.</exception>
    public void Map(Gpa gpa, Hpa hpa, ulong length, SecondStageRights rights, int patIndex = 0, int largestPageShift = PageSize.Shift4K)
    {
        if (patIndex is < 0 or > 7)
        {
            throw new ArgumentOutOfRangeException(nameof(patIndex), patIndex, "PAT has fields 0 to 7.");
        }

        ulong type = ((patIndex & 1) != 0 ? PageTableEntry.PWTBit : 0) | ((patIndex & 2) != 0 ? PageTableEntry.PCDBit : 0)
            | ((patIndex & 4) != 0 ? PageTableEntry.Pat4KBit : 0);
        editor.Map(gpa, hpa, length, RightsBits(rights) | PageTableEntry.PBit | PageTableEntry.USBit | type, largestPageShift);
    }

    /// <summary>Changes the rights of what is mapped in a range; pages that reach beyond it are split.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">As in <see cref="Map"/>.</param>
    /// <returns>How many entries were changed.</returns>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or rights that no entry has.</exception>
    /// <exception cref="InvalidOperationException">Table memory ran out or failed.</exception>
    public int Protect(Gpa gpa, ulong length, SecondStageRights rights) =>
        editor.Protect(gpa, length, PageTableEntry.RWBit | PageTableEntry.NXBit, RightsBits(rights));

    /// <summary>Unmaps what is mapped in a range. Pages that reach beyond it are split, tables that become empty go back to their frames.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <returns>How many entries that mapped pages were cleared.</returns>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range.</exception>
    /// <exception cref="InvalidOperationException">Table memory ran out or failed.</exception>
    public int Unmap(Gpa gpa, ulong length) => editor.Unmap(gpa, length);

    /// <summary>Splits the pages in a range that are larger than asked for; each piece has the rights, the type and the flags of the whole.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB. A page it touches is split as a whole.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="pageShift">log2 of the largest page to leave: 12, 21 or 30.</param>
    /// <returns>How many pages were split, those that came from a split included.</returns>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or an unknown page size.</exception>
    /// <exception cref="InvalidOperationException">Table memory ran out or failed.</exception>
    public int Split(Gpa gpa, ulong length, int pageShift = PageSize.Shift4K) => editor.Split(gpa, length, pageShift);

    /// <summary>Joins pages that follow each other and differ in nothing into larger ones. Flags are combined by OR; no walk may run beside it.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB. Nothing that reaches beyond it is joined.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="largestPageShift">log2 of the largest page to make: 12, 21 or 30.</param>
    /// <returns>How many tables became pages.</returns>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or an unknown page size.</exception>
    public int Merge(Gpa gpa, ulong length, int largestPageShift = PageSize.Shift1G) => editor.Merge(gpa, length, largestPageShift);

    /// <summary>Drops every mapping; the root stays.</summary>
    public void Clear() => editor.Clear();

    /// <summary>Gives all frames back, the root too; the builder is of no use after that.</summary>
    public void Free() => editor.Free();

    private static ulong RightsBits(SecondStageRights rights)
    {
        const SecondStageRights possible = SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute;
        if ((rights & SecondStageRights.Read) == 0 || (rights & ~possible) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(rights), rights, "No entry of nested tables has these rights.");
        }

        ulong write = (rights & SecondStageRights.Write) != 0 ? PageTableEntry.RWBit : 0;
        return (rights & SecondStageRights.Execute) != 0 ? write : write | PageTableEntry.NXBit;
    }
}
