using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>A range that the page tables will map; <paramref name="Gpa"/> is null where any frames do.</summary>
internal sealed record BootRange(string Name, Gva Gva, ulong Length, PageRights Rights, Gpa? Gpa = null, int LargestPageShift = PageSize.Shift4K)
{
    public Gva Last => Gva + (Length - 1);

    /// <summary>The bytes of RAM it takes from the allocator.</summary>
    public ulong FrameBytes => Gpa is null ? Length : 0;
}
