namespace Quadwalk.Mmu;

/// <summary>The memory types that MTRRs give the bytes of one page (SDM Vol. 3A, section 13.11.9).</summary>
/// <param name="Types">All of them, each once, in the order of their encodings.</param>
/// <param name="IsMixed">
/// There are several in what lies above the fixed ranges: the SDM leaves undefined how the processor treats the page. Its TLB entry has one type.
/// </param>
/// <param name="IsSplit">
/// There are several, but all that differ are fixed ranges: the processor then keeps the page as pages of 4 KiB in its TLB, and each has its type.
/// </param>
public readonly record struct MtrrTypes(IReadOnlyList<MemoryType> Types, bool IsMixed, bool IsSplit);
