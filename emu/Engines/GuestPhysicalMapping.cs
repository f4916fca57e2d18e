using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A page of the second stage and where it lies in this process. The default maps nothing.</summary>
internal readonly struct GuestPhysicalMapping
{
    /// <param name="gpa">An address in the page.</param>
    /// <param name="hva">Where that byte lies.</param>
    /// <param name="pageShift">log2 of the page's size.</param>
    /// <param name="writable">Whether the guest may write there.</param>
    public GuestPhysicalMapping(Gpa gpa, Hva hva, int pageShift, bool writable)
    {
        Size = 1UL << pageShift;
        First = gpa.Value & ~(Size - 1);
        Addend = hva.Value - gpa.Value;
        WritableSize = writable ? Size : 0;
    }

    /// <summary>The page.</summary>
    public ulong First { get; }

    /// <summary>Its size in bytes.</summary>
    public ulong Size { get; }

    /// <summary>What a guest-physical address needs to become a host address.</summary>
    public ulong Addend { get; }

    /// <summary>Its size, or 0 where the guest may not write.</summary>
    public ulong WritableSize { get; }
}
