namespace Quadwalk.GuestMemory;

/// <summary>A further mapping of guest memory: the same bytes at another address.</summary>
/// <remarks>It is unmapped by <see cref="Dispose"/> only, whatever becomes of the memory it was made from.</remarks>
public sealed unsafe class HostMemoryView : IDisposable
{
    private readonly nint start;
    private int disposed;

    internal HostMemoryView(nint address, ulong size)
    {
        start = address;
        Size = size;
    }

    /// <summary>The size in bytes, that of the memory.</summary>
    public ulong Size { get; }

    /// <summary>Where this view maps the first byte; a multiple of 4096.</summary>
    /// <exception cref="ObjectDisposedException">The view is gone.</exception>
    public Hva Base
    {
        get
        {
            ObjectDisposedException.ThrowIf(disposed != 0, this);
            return new Hva((ulong)start);
        }
    }

    /// <summary>The <paramref name="length"/> bytes at <paramref name="offset"/>; valid until the view is disposed.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A byte of the range is outside the memory.</exception>
    /// <exception cref="ObjectDisposedException">The view is gone.</exception>
    public Span<byte> Span(ulong offset, int length)
    {
        ObjectDisposedException.ThrowIf(disposed != 0, this);
        if (length < 0 || offset > Size || (ulong)length > Size - offset)
        {
            HostMemory.ThrowOutside(offset, length, Size);
        }

        // SAFETY: the range was just checked against the mapping, which stays until Dispose.
        return new Span<byte>((byte*)start + offset, length);
    }

    /// <summary>Unmaps the view.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            _ = Libc.Unmap(start, (nuint)Size);
        }
    }
}
