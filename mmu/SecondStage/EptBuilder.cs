using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Builds extended page tables in host frames (SDM Vol. 3C, section 29.3.2). Entries that reference tables allow everything, so the rights of a page are those of its own entry.</summary>
/// <remarks>What cannot be done leaves the tables as they were, except where table memory runs out or fails half-way.</remarks>
public sealed class EptBuilder
{
    private readonly SecondStageEditor<EptEncoding> editor;

    /// <summary>Starts with an empty table of the highest level.</summary>
    /// <param name="frames">Where tables are built; they go back to it when they become empty.</param>
    /// <param name="levels">4 or 5.</param>
    /// <exception cref="InvalidOperationException">There is no frame.</exception>
    public EptBuilder(ISecondStageFrames frames, int levels = 4) => editor = new(frames, levels);

    /// <summary>The table of the highest level.</summary>
    public Hpa Root => editor.Root;

    /// <summary>How many frames hold tables.</summary>
    public int TableFrames => editor.TableFrames;

    /// <summary>Maps a range of guest-physical addresses to host-physical memory. A and D flags start at 0.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="hpa">What it is mapped to; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">Read, write, execute, execute-user and shadow-stack; the first four not all absent, and no write without read.</param>
    /// <param name="memoryType">The memory type: any but UC-.</param>
    /// <param name="ignorePat">The guest's PAT takes no part in the memory type.</param>
    /// <param name="largestPageShift">log2 of the largest page to use, 12, 21 or 30, where both addresses are aligned and the range is long enough.</param>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or rights, a type or a page size that no entry has.</exception>
    /// <exception cref="InvalidOperationException">Part of the range is mapped already, or table memory ran out or failed.</exception>
    public void Map(
        Gpa gpa, Hpa hpa, ulong length, SecondStageRights rights, MemoryType memoryType = MemoryType.WB, bool ignorePat = false,
        int largestPageShift = PageSize.Shift4K)
    {
        editor.Map(gpa, hpa, length, Attributes(rights, memoryType, ignorePat), largestPageShift);
    }

    /// <summary>Maps one page, as a hypervisor does that answers an EPT violation: nothing but frames is allocated. A and D flags start at 0.</summary>
    /// <param name="gpa">The page; a multiple of its size.</param>
    /// <param name="hpa">What it is mapped to; a multiple of its size.</param>
    /// <param name="pageShift">log2 of its size: 12, 21 or 30.</param>
    /// <param name="rights">As in <see cref="Map"/>.</param>
    /// <param name="memoryType">As in <see cref="Map"/>.</param>
    /// <param name="ignorePat">As in <see cref="Map"/>.</param>
    /// <returns>False when no frame is left for a table; tables that were made on the way stay, empty.</returns>
    /// <exception cref="ArgumentException">A misaligned or too large address, or rights, a type or a page size that no entry has.</exception>
    /// <exception cref="InvalidOperationException">Something is mapped there already, or table memory failed.</exception>
    public bool TryMapPage(
        Gpa gpa, Hpa hpa, int pageShift, SecondStageRights rights, MemoryType memoryType = MemoryType.WB, bool ignorePat = false) =>
        editor.TryMapPage(gpa, hpa, pageShift, Attributes(rights, memoryType, ignorePat));

    /// <summary>Changes the rights of what is mapped in a range; pages that reach beyond it are split.</summary>
    /// <param name="gpa">Where the range starts; a multiple of 4 KiB.</param>
    /// <param name="length">Its length in bytes; a multiple of 4 KiB, not 0.</param>
    /// <param name="rights">As in <see cref="Map"/>.</param>
    /// <returns>How many entries were changed.</returns>
    /// <exception cref="ArgumentException">A misaligned, empty or too large range, or rights that no entry has.</exception>
    /// <exception cref="InvalidOperationException">Table memory ran out or failed.</exception>
    public int Protect(Gpa gpa, ulong length, SecondStageRights rights) =>
        editor.Protect(gpa, length, EptEncoding.Rights | EptEntry.ShadowStackBit, RightsBits(rights));

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

    private static ulong Attributes(SecondStageRights rights, MemoryType memoryType, bool ignorePat)
    {
        if (memoryType is not (MemoryType.UC or MemoryType.WC or MemoryType.WT or MemoryType.WP or MemoryType.WB))
        {
            throw new ArgumentOutOfRangeException(nameof(memoryType), memoryType, "A memory type of EPT is UC, WC, WT, WP or WB.");
        }

        return RightsBits(rights) | ((ulong)memoryType << EptEntry.MemoryTypeShift) | (ignorePat ? EptEntry.IgnorePatBit : 0);
    }

    private static ulong RightsBits(SecondStageRights rights)
    {
        const SecondStageRights present = SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute | SecondStageRights.ExecuteUser;
        bool writeOnly = (rights & (SecondStageRights.Read | SecondStageRights.Write)) == SecondStageRights.Write;
        if ((rights & present) == 0 || writeOnly || (rights & ~(present | SecondStageRights.ShadowStack)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(rights), rights, "No EPT entry has these rights.");
        }

        ulong bits = (ulong)(rights & (SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute));
        bits |= (rights & SecondStageRights.ExecuteUser) != 0 ? EptEntry.ExecuteUserBit : 0;
        return (rights & SecondStageRights.ShadowStack) != 0 ? bits | EptEntry.ShadowStackBit : bits;
    }
}
