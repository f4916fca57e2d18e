namespace Quadwalk.GuestMemory;

/// <summary>
/// One way in which a hypervisor reaches guest memory while it emulates an instruction. All paths see the same bytes;
/// they differ in what must be mapped for an access to succeed, and in what the access costs and exposes.
/// </summary>
/// <remarks>
/// An access may cross page and memslot boundaries. On failure nothing has been written, and a read leaves its
/// destination undefined.
/// </remarks>
public interface IGuestMemoryAccess
{
    /// <summary>The name by which the path is chosen: <c>userspace</c>.</summary>
    string Name { get; }

    /// <summary>Copies guest memory at <paramref name="gpa"/> into <paramref name="destination"/>.</summary>
    GuestAccessStatus Read(Gpa gpa, Span<byte> destination);

    /// <summary>Copies <paramref name="source"/> into guest memory at <paramref name="gpa"/>.</summary>
    GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source);

    /// <summary>Reads a naturally aligned 64-bit word atomically; page walks read their entries with this.</summary>
    GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value);

    /// <summary>
    /// Replaces a naturally aligned 64-bit word if it still holds <paramref name="expected"/>;
    /// <paramref name="observed"/> receives what it held, equal to <paramref name="expected"/> exactly when the exchange was made.
    /// </summary>
    GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed);
}

/// <summary>How an access to guest memory ended.</summary>
public enum GuestAccessStatus
{
    /// <summary>All bytes were read or written.</summary>
    Success,

    /// <summary>A byte of the range lies in no memslot: the access is MMIO, or leads nowhere.</summary>
    NoSlot,

    /// <summary>A byte of a written range lies in a read-only memslot.</summary>
    ReadOnlySlot,

    /// <summary>A memslot covers the range but the host could not reach the bytes (<c>-EFAULT</c>).</summary>
    Fault,
}
