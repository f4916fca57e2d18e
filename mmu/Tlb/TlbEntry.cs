using System.Runtime.InteropServices;

namespace Quadwalk.Mmu;

/// <summary>
/// One cached translation of a 4 KiB page, laid out for the fast path: an access of <c>n</c> bytes at <c>gva</c> hits when the
/// tag of its kind equals the page of its last byte, so one comparison tests presence, rights and page crossing together.
/// </summary>
/// <remarks>
/// <code>
///  0        8         16        24        32
///  +--------+---------+---------+---------+
///  | read   | write   | fetch   | addend  |   host address = gva + addend
///  +--------+---------+---------+---------+
/// </code>
/// A tag is the page's guest-virtual address, or <see cref="Tlb.NoTag"/>. The write tag is withheld until the leaf's D bit is set
/// and while the frame holds decoded instructions.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
public struct TlbEntry
{
    /// <summary>Page for which data reads hit.</summary>
    public ulong ReadTag;

    /// <summary>Page for which data writes hit.</summary>
    public ulong WriteTag;

    /// <summary>Page for which instruction fetches hit.</summary>
    public ulong FetchTag;

    /// <summary>What to add to a guest-virtual address of the page to get its host-virtual address.</summary>
    public nint Addend;
}
