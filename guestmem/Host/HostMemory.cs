using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>The bytes of guest memory as the host holds them: zeroed, page-aligned, and populated when first touched.</summary>
/// <remarks>
/// The memory goes when <see cref="Dispose"/> is called, and only then: memslots and spans hold bare addresses that the garbage
/// collector does not see. Whoever disposes first removes the memslots and stops the processors.
/// </remarks>
public sealed unsafe class HostMemory : IDisposable
{
    private readonly MemfdHandle? file;
    private readonly void* allocation;
    private readonly nint start;
    private int disposed;

    private HostMemory(HostMemoryKind kind, ulong size, MemfdHandle? file, void* allocation, nint address)
    {
        Kind = kind;
        Size = size;
        this.file = file;
        this.allocation = allocation;
        start = address;
    }

    /// <summary>What holds the memory: <see cref="HostMemoryKind.Memfd"/> or <see cref="HostMemoryKind.Anonymous"/>.</summary>
    public HostMemoryKind Kind { get; }

    /// <summary>The size in bytes.</summary>
    public ulong Size { get; }

    /// <summary>Where the first byte is mapped; a multiple of 4096.</summary>
    /// <exception cref="ObjectDisposedException">The memory is gone.</exception>
    public Hva Base
    {
        get
        {
            ObjectDisposedException.ThrowIf(disposed != 0, this);
            return new Hva((ulong)start);
        }
    }

    /// <summary>Makes zeroed guest memory. A large size costs address space, not memory, until it is touched.</summary>
    /// <param name="size">The size in bytes: a multiple of 4096, and not 0.</param>
    /// <param name="kind">What shall hold it.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is 0 or not a multiple of 4096, or the kind is none.</exception>
    /// <exception cref="HostMemoryException">The host has not that much, or cannot make a memfd that was asked for.</exception>
    public static HostMemory Create(ulong size, HostMemoryKind kind = HostMemoryKind.Auto)
    {
        if (size == 0 || (size & PageSize.Mask4K) != 0)
        {
            ThrowBadSize(size);
        }

        switch (kind)
        {
            case HostMemoryKind.Anonymous:
                return CreateAnonymous(size);
            case HostMemoryKind.Auto or HostMemoryKind.Memfd:
                MemfdHandle? file = MemfdHandle.TryOpen(out Errno error);
                if (file is not null)
                {
                    return CreateShared(size, file);
                }

                if (kind == HostMemoryKind.Memfd)
                {
                    HostMemoryException.ThrowNoMemfd(error);
                }

                return CreateAnonymous(size);
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), kind, "not a kind of host memory");
        }
    }

    /// <summary>The <paramref name="length"/> bytes at <paramref name="offset"/>; valid until the memory is disposed.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A byte of the range is outside the memory.</exception>
    /// <exception cref="ObjectDisposedException">The memory is gone.</exception>
    public Span<byte> Span(ulong offset, int length)
    {
        ObjectDisposedException.ThrowIf(disposed != 0, this);
        if (length < 0 || offset > Size || (ulong)length > Size - offset)
        {
            ThrowOutside(offset, length, Size);
        }

        // SAFETY: the range was just checked against the mapping, which stays until Dispose.
        return new Span<byte>((byte*)start + offset, length);
    }

    /// <summary>Maps the same bytes a second time, at another address. The view outlives this object if it is disposed later.</summary>
    /// <exception cref="NotSupportedException">The memory is anonymous.</exception>
    /// <exception cref="HostMemoryException">The host refuses the mapping.</exception>
    /// <exception cref="ObjectDisposedException">The memory is gone.</exception>
    public HostMemoryView MapView()
    {
        ObjectDisposedException.ThrowIf(disposed != 0, this);
        if (file is null)
        {
            throw new NotSupportedException("anonymous guest memory has one address only: make it of the memfd kind to map it again");
        }

        return new HostMemoryView(file.Map(Size), Size);
    }

    /// <summary>Maps part of the same bytes over a range of addresses that the caller owns.</summary>
    /// <param name="address">The first address; a multiple of 4096.</param>
    /// <param name="offset">Where the part begins; a multiple of 4096.</param>
    /// <param name="length">Its length; the part lies inside.</param>
    /// <param name="writable">Whether it can be written there.</param>
    /// <exception cref="NotSupportedException">The memory is anonymous.</exception>
    /// <exception cref="HostMemoryException">The host refuses the mapping.</exception>
    internal void MapOver(nint address, ulong offset, ulong length, bool writable)
    {
        ObjectDisposedException.ThrowIf(disposed != 0, this);
        if (offset > Size || length > Size - offset)
        {
            ThrowOutside(offset, (int)Math.Min(length, int.MaxValue), Size);
        }

        (file ?? throw new NotSupportedException("anonymous guest memory has one address only")).MapOver(address, offset, length, writable);
    }

    /// <summary>Unmaps the memory. Every address in it becomes invalid, but for those of views that are still mapped.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
        {
            return;
        }

        if (file is null)
        {
            NativeMemory.Free(allocation);
            return;
        }

        _ = Libc.Unmap(start, (nuint)Size);
        file.Dispose();
    }

    private static HostMemory CreateShared(ulong size, MemfdHandle file)
    {
        try
        {
            file.SetLength(size);
            return new HostMemory(HostMemoryKind.Memfd, size, file, null, file.Map(size));
        }
        catch (HostMemoryException)
        {
            file.Dispose();
            throw;
        }
    }

    // calloc leaves large blocks to the kernel's zero pages, which an aligned allocation cleared by hand would all touch:
    // so one page more is asked for, and the base is rounded up inside it.
    private static HostMemory CreateAnonymous(ulong size)
    {
        if (size > nuint.MaxValue - PageSize.Size4K)
        {
            HostMemoryException.Throw(size, Errno.ENOMEM);
        }

        void* allocation = null;
        try
        {
            allocation = NativeMemory.AllocZeroed((nuint)(size + PageSize.Mask4K));
        }
        catch (OutOfMemoryException)
        {
            HostMemoryException.Throw(size, Errno.ENOMEM);
        }

        nuint aligned = ((nuint)allocation + (nuint)PageSize.Mask4K) & ~(nuint)PageSize.Mask4K;
        return new HostMemory(HostMemoryKind.Anonymous, size, null, allocation, (nint)aligned);
    }

    [DoesNotReturn]
    private static void ThrowBadSize(ulong size) =>
        throw new ArgumentOutOfRangeException(
            nameof(size), string.Create(CultureInfo.InvariantCulture, $"guest memory of 0x{size:x} bytes is not a number of whole 4096-byte pages"));

    [DoesNotReturn]
    internal static void ThrowOutside(ulong offset, int length, ulong size) =>
        throw new ArgumentOutOfRangeException(
            nameof(offset), string.Create(CultureInfo.InvariantCulture, $"{length} bytes at 0x{offset:x} are not inside 0x{size:x} bytes of guest memory"));
}
