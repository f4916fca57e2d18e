using System.Runtime.InteropServices;
using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>What files are: stat(2), statx(2), access(2), readlink(2).</summary>
internal static class StatusCalls
{
    private const int StatSize = 144, StatxSize = 256;
    private const uint BasicStatus = 0x7ff;

    /// <summary>fstat(2).</summary>
    public static SyscallResult Fstat(LinuxTask task, int descriptor, ulong buffer) =>
        task.Process.Files.TryGet(descriptor, out OpenFile? file) ? Write(task, buffer, file.Status) : LinuxErrno.EBADF;

    /// <summary>newfstatat(2).</summary>
    public static SyscallResult Stat(LinuxTask task, int descriptor, ulong name, ulong buffer, int flags) =>
        Find(task, descriptor, name, flags, out HostFileStatus status) ?? Write(task, buffer, status);

    /// <summary>statx(2).</summary>
    public static SyscallResult Statx(LinuxTask task, int descriptor, ulong name, int flags, ulong buffer)
    {
        if (Find(task, descriptor, name, flags, out HostFileStatus status) is { } error)
        {
            return error;
        }

        Span<byte> bytes = stackalloc byte[StatxSize];
        bytes.Clear();
        Put(bytes, 0, BasicStatus);
        Put(bytes, 4, status.BlockSize);
        Put(bytes, 16, status.Links);
        Put(bytes, 20, status.Owner);
        Put(bytes, 24, status.Group);
        Put(bytes, 28, (ushort)status.Mode);
        Put(bytes, 32, status.Inode);
        Put(bytes, 40, status.Size);
        Put(bytes, 48, status.Blocks);
        PutTime(bytes, 64, status.Accessed);
        PutTime(bytes, 96, status.Changed);
        PutTime(bytes, 112, status.Modified);
        Put(bytes, 128, status.SpecialDevice.Major);
        Put(bytes, 132, status.SpecialDevice.Minor);
        Put(bytes, 136, status.Device.Major);
        Put(bytes, 140, status.Device.Minor);
        return task.Memory.TryWrite(buffer, bytes) ? 0 : LinuxErrno.EFAULT;
    }

    /// <summary>faccessat2(2).</summary>
    public static SyscallResult Access(LinuxTask task, int descriptor, ulong name, int mode, int flags)
    {
        const int execute = 1, write = 2, all = 7;
        if ((mode & ~all) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        if (PathArgument.Read(task, name, out string text) is { } unreadable)
        {
            return unreadable;
        }

        if (DeviceFile.TryOpen(text, task.Kernel.Random, 0) is not null)
        {
            return (mode & execute) != 0 ? LinuxErrno.EACCES : 0;
        }

        if (PathArgument.Resolve(task, descriptor, text, (flags & AtFlags.NoFollow) == 0, out HostPath place) is { } error)
        {
            return error;
        }

        if (place.TryStatus(out HostFileStatus status) is { } missing)
        {
            return missing;
        }

        if ((mode & write) != 0 && place.Access != PathAccess.Write)
        {
            return LinuxErrno.EROFS;
        }

        return (mode & execute) != 0 && (status.Mode & 0x49) == 0 ? LinuxErrno.EACCES : 0;
    }

    /// <summary>readlinkat(2).</summary>
    public static SyscallResult ReadLink(LinuxTask task, int descriptor, ulong name, ulong buffer, ulong size)
    {
        if (PathArgument.Read(task, name, out string text) is { } unreadable)
        {
            return unreadable;
        }

        string? target = null;
        if (text == "/proc/self/exe")
        {
            target = task.Process.Executable;
        }
        else if (PathArgument.Resolve(task, descriptor, text, follow: false, out HostPath place) is { } error)
        {
            return error;
        }
        else if (place.TryStatus(out HostFileStatus status) is { } missing)
        {
            return missing;
        }
        else if (FileType.Of(status.Mode) == FileType.Link)
        {
            target = new FileInfo(place.Path).LinkTarget;
        }

        if (target is null || (long)size <= 0)
        {
            return LinuxErrno.EINVAL;
        }

        ReadOnlySpan<byte> bytes = Encoding.UTF8.GetBytes(target);
        bytes = bytes[..(int)Math.Min((ulong)bytes.Length, size)];
        return task.Memory.TryWrite(buffer, bytes) ? bytes.Length : LinuxErrno.EFAULT;
    }

    private static SyscallResult? Find(LinuxTask task, int descriptor, ulong name, int flags, out HostFileStatus status)
    {
        status = default;
        if (PathArgument.Read(task, name, out string text) is { } unreadable)
        {
            return unreadable;
        }

        if (text.Length == 0 && (flags & AtFlags.EmptyPath) != 0 && descriptor != AtFlags.CurrentFolder)
        {
            if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
            {
                return LinuxErrno.EBADF;
            }

            status = file.Status;
            return null;
        }

        if (DeviceFile.TryOpen(text, task.Kernel.Random, 0) is { } device)
        {
            status = device.Status;
            return null;
        }

        if (PathArgument.Resolve(task, descriptor, text, (flags & AtFlags.NoFollow) == 0, out HostPath place) is { } error)
        {
            return error;
        }

        return place.TryStatus(out status) is { } missing ? missing : null;
    }

    private static SyscallResult Write(LinuxTask task, ulong buffer, in HostFileStatus status)
    {
        Span<byte> bytes = stackalloc byte[StatSize];
        bytes.Clear();
        Put(bytes, 0, Number(status.Device));
        Put(bytes, 8, status.Inode);
        Put(bytes, 16, (ulong)status.Links);
        Put(bytes, 24, status.Mode);
        Put(bytes, 28, status.Owner);
        Put(bytes, 32, status.Group);
        Put(bytes, 40, Number(status.SpecialDevice));
        Put(bytes, 48, status.Size);
        Put(bytes, 56, (ulong)status.BlockSize);
        Put(bytes, 64, status.Blocks);
        PutTime(bytes, 72, status.Accessed);
        PutTime(bytes, 88, status.Modified);
        PutTime(bytes, 104, status.Changed);
        return task.Memory.TryWrite(buffer, bytes) ? 0 : LinuxErrno.EFAULT;
    }

    /// <summary>A device number as user space has it (<c>new_encode_dev</c>).</summary>
    private static ulong Number((uint Major, uint Minor) device) =>
        (device.Minor & 0xff) | (ulong)(device.Major & 0xfff) << 8 | (ulong)(device.Minor & 0xfff00) << 12;

    private static void Put<T>(Span<byte> bytes, int at, T value)
        where T : unmanaged => MemoryMarshal.Write(bytes[at..], value);

    private static void PutTime(Span<byte> bytes, int at, HostFileTime time)
    {
        Put(bytes, at, time.Seconds);
        Put(bytes, at + 8, time.Nanoseconds);
    }
}
