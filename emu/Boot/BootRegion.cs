using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>A range of guest-virtual memory as it is mapped at the entry of an image.</summary>
/// <param name="Name">What it is, for a person.</param>
/// <param name="Gva">Its first address, a multiple of 4096.</param>
/// <param name="Gpa">What that is mapped to, a multiple of 4096; the range is contiguous there.</param>
/// <param name="Length">Its length in bytes, a multiple of 4096.</param>
/// <param name="Rights">The rights of its pages.</param>
/// <param name="LargestPageShift">log2 of the largest page used: 12 or 21.</param>
public sealed record BootRegion(string Name, Gva Gva, Gpa Gpa, ulong Length, PageRights Rights, int LargestPageShift = PageSize.Shift4K)
{
    /// <summary>The last address.</summary>
    public Gva Last => Gva + (Length - 1);
}
