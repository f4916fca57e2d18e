using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>Addresses of this process that nothing is mapped at and nobody else gets. Linux only.</summary>
internal sealed class AddressReservation : IDisposable
{
    private const int Nothing = Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve;
    private int disposed;

    /// <summary>Reserves a range.</summary>
    /// <param name="length">Its length in bytes; a multiple of 4096.</param>
    /// <exception cref="HostMemoryException">There is no such range left.</exception>
    public AddressReservation(ulong length)
    {
        Length = length;
        Start = Libc.Map(0, (nuint)length, Libc.ProtNone, Nothing, -1, 0);
        if (Start == Libc.MapFailed)
        {
            HostMemoryException.Throw(length, (Errno)Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>The first address.</summary>
    public nint Start { get; }

    /// <summary>The length in bytes.</summary>
    public ulong Length { get; }

    /// <summary>Unmaps what was mapped in a part of it, and keeps it reserved.</summary>
    /// <exception cref="HostMemoryException">The host has no mapping left to give.</exception>
    public void Clear(ulong offset, ulong length)
    {
        if (Libc.Map(Start + (nint)offset, (nuint)length, Libc.ProtNone, Nothing | Libc.MapFixed, -1, 0) == Libc.MapFailed)
        {
            HostMemoryException.Throw(length, (Errno)Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Gives the range back with all that is mapped in it.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            _ = Libc.Unmap(Start, (nuint)Length);
        }
    }
}
