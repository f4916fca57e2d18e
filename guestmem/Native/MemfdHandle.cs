using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quadwalk.GuestMemory;

/// <summary>An anonymous file in memory (memfd_create(2)), which lives as long as this handle or one of its mappings.</summary>
internal sealed class MemfdHandle : SafeHandleMinusOneIsInvalid
{
    public MemfdHandle()
        : base(ownsHandle: true)
    {
    }

    /// <summary>
    /// A memfd can be made by this host and mapped at any offset; mmap(2) takes a 64-bit offset only in 64-bit processes.
    /// </summary>
    public static bool IsSupported
    {
        get
        {
            using MemfdHandle? file = TryOpen(out _);
            return file is not null;
        }
    }

    /// <summary>Makes an empty memfd, or returns null and the errno.</summary>
    public static MemfdHandle? TryOpen(out Errno error)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            error = Errno.ENOSYS;
            return null;
        }

        var file = new MemfdHandle();
        file.SetHandle(Libc.MemfdCreate("guest-memory", Libc.MfdCloseOnExec));
        error = file.IsInvalid ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;
        if (!file.IsInvalid)
        {
            return file;
        }

        file.Dispose();
        return null;
    }

    /// <summary>Makes an empty file whose pages the kernel takes out of its direct map (memfd_secret(2)), or returns null and the errno.</summary>
    public static MemfdHandle? TryOpenSecret(out Errno error)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            error = Errno.ENOSYS;
            return null;
        }

        var file = new MemfdHandle();
        file.SetHandle((int)Libc.SystemCall(Libc.SysMemfdSecret, Libc.OpenCloseOnExec));
        error = file.IsInvalid ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;
        if (!file.IsInvalid)
        {
            return file;
        }

        file.Dispose();
        return null;
    }

    /// <summary>Gives the file its size in bytes; the pages are holes until they are touched.</summary>
    public void SetLength(ulong size)
    {
        if (size > long.MaxValue)
        {
            HostMemoryException.Throw(size, Errno.EFBIG);
        }

        if (Libc.Truncate(this, (long)size) != 0)
        {
            HostMemoryException.Throw(size, (Errno)Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Maps the whole file for reading and writing, shared with all its other mappings.</summary>
    public nint Map(ulong size)
    {
        nint address = Libc.Map(
            0, (nuint)size, Libc.ProtRead | Libc.ProtWrite, Libc.MapShared | Libc.MapNoReserve, this, 0);
        if (address == Libc.MapFailed)
        {
            HostMemoryException.Throw(size, (Errno)Marshal.GetLastPInvokeError());
        }

        return address;
    }

    /// <summary>Maps part of the file over a range of addresses that the caller owns.</summary>
    public void MapOver(nint address, ulong offset, ulong length, bool writable)
    {
        int protection = Libc.ProtRead | (writable ? Libc.ProtWrite : 0);
        if (Libc.Map(address, (nuint)length, protection, Libc.MapShared | Libc.MapFixed | Libc.MapNoReserve, this, (long)offset) == Libc.MapFailed)
        {
            HostMemoryException.Throw(length, (Errno)Marshal.GetLastPInvokeError());
        }
    }

    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}
