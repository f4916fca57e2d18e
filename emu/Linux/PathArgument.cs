using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A name that a program gave, and where it leads.</summary>
internal static class PathArgument
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a name; ENOENT for one that is no UTF-8, as no such file can be reached from here.</summary>
    public static LinuxErrno? Read(LinuxTask task, ulong address, out string name)
    {
        name = "";
        if (task.Memory.ReadString(address, HostPaths.LongestPath, out byte[] bytes) is { } error)
        {
            return error;
        }

        try
        {
            name = Strict.GetString(bytes);
            return null;
        }
        catch (DecoderFallbackException)
        {
            return LinuxErrno.ENOENT;
        }
    }

    /// <summary>Reads a name and finds its place.</summary>
    /// <param name="task">Who asks.</param>
    /// <param name="descriptor">The folder that relative names begin in: AT_FDCWD or a descriptor.</param>
    /// <param name="address">Where the name is.</param>
    /// <param name="follow">Whether a link at its end is followed.</param>
    /// <param name="place">The place.</param>
    public static LinuxErrno? Resolve(LinuxTask task, int descriptor, ulong address, bool follow, out HostPath place)
    {
        place = default;
        return Read(task, address, out string name) ?? Resolve(task, descriptor, name, follow, out place);
    }

    /// <summary>Finds the place of a name.</summary>
    public static LinuxErrno? Resolve(LinuxTask task, int descriptor, string name, bool follow, out HostPath place)
    {
        place = default;
        string folder = task.Process.FileSystem.Folder;
        if (descriptor != AtFlags.CurrentFolder && !name.StartsWith('/'))
        {
            if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
            {
                return LinuxErrno.EBADF;
            }

            if (file is not HostDirectory directory)
            {
                return LinuxErrno.ENOTDIR;
            }

            folder = directory.Place.Path;
        }

        return task.Kernel.Paths.Resolve(folder, name, follow, task.Process.Executable, out place);
    }

    /// <summary>Finds a place that is to be changed: EROFS where it may not be.</summary>
    public static LinuxErrno? ResolveForWriting(LinuxTask task, int descriptor, ulong address, bool follow, out HostPath place)
    {
        LinuxErrno? error = Resolve(task, descriptor, address, follow, out place);
        return error ?? (place.Access == PathAccess.Write ? null : LinuxErrno.EROFS);
    }

    /// <summary>Does something on the host and tells what went wrong.</summary>
    public static SyscallResult Try(Action action)
    {
        try
        {
            action();
            return 0;
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }
    }

    /// <summary>Whether there is something at a place, and what.</summary>
    public static uint? TypeOf(HostPath place) =>
        place.TryStatus(out HostFileStatus status) is null ? FileType.Of(status.Mode) : null;
}
