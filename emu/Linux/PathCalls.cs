using System.Text;

namespace Quadwalk.Emulation;

/// <summary>Calls that change names, and the working directory.</summary>
internal static class PathCalls
{
    private const uint Permissions = 0xfff;

    /// <summary>getcwd(2).</summary>
    public static SyscallResult GetFolder(LinuxTask task, ulong buffer, ulong size)
    {
        byte[] path = Encoding.UTF8.GetBytes(task.Process.FileSystem.Folder + '\0');
        if (size < (ulong)path.Length)
        {
            return LinuxErrno.ERANGE;
        }

        return task.Memory.TryWrite(buffer, path) ? path.Length : LinuxErrno.EFAULT;
    }

    /// <summary>chdir(2).</summary>
    public static SyscallResult ChangeFolder(LinuxTask task, ulong name)
    {
        if (PathArgument.Resolve(task, AtFlags.CurrentFolder, name, follow: true, out HostPath place) is { } error)
        {
            return error;
        }

        switch (PathArgument.TypeOf(place))
        {
            case FileType.Directory:
                task.Process.FileSystem.Folder = place.Path;
                return 0;
            case null:
                return LinuxErrno.ENOENT;
            default:
                return LinuxErrno.ENOTDIR;
        }
    }

    /// <summary>fchdir(2).</summary>
    public static SyscallResult ChangeFolder(LinuxTask task, int descriptor)
    {
        if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
        {
            return LinuxErrno.EBADF;
        }

        if (file is not HostDirectory directory)
        {
            return LinuxErrno.ENOTDIR;
        }

        task.Process.FileSystem.Folder = directory.Place.Path;
        return 0;
    }

    /// <summary>mkdirat(2).</summary>
    public static SyscallResult MakeFolder(LinuxTask task, int descriptor, ulong name, uint mode)
    {
        LinuxErrno? error = PathArgument.Resolve(task, descriptor, name, follow: false, out HostPath place);
        if (error is null && PathArgument.TypeOf(place) is not null)
        {
            return LinuxErrno.EEXIST;
        }

        if (error is not null || place.Access != PathAccess.Write)
        {
            return error ?? LinuxErrno.EROFS;
        }

        UnixFileMode wanted = (UnixFileMode)(mode & ~task.Process.FileSystem.Mask & Permissions);
        return PathArgument.Try(() =>
        {
            if (!OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(place.Path, wanted);
            }
        });
    }

    /// <summary>unlinkat(2), rmdir(2).</summary>
    public static SyscallResult Unlink(LinuxTask task, int descriptor, ulong name, int flags)
    {
        if (PathArgument.ResolveForWriting(task, descriptor, name, follow: false, out HostPath place) is { } error)
        {
            return error;
        }

        bool folder = (flags & AtFlags.RemoveDirectory) != 0;
        return PathArgument.TypeOf(place) switch
        {
            null => LinuxErrno.ENOENT,
            FileType.Directory => folder ? PathArgument.Try(() => Directory.Delete(place.Path)) : LinuxErrno.EISDIR,
            _ => folder ? LinuxErrno.ENOTDIR : PathArgument.Try(() => File.Delete(place.Path)),
        };
    }

    /// <summary>renameat2(2), without its flags.</summary>
    public static SyscallResult Rename(LinuxTask task, (int Descriptor, ulong Name) from, (int Descriptor, ulong Name) to, int flags)
    {
        const int noReplace = 1;
        HostPath target = default;
        if ((PathArgument.ResolveForWriting(task, from.Descriptor, from.Name, follow: false, out HostPath source)
            ?? PathArgument.ResolveForWriting(task, to.Descriptor, to.Name, follow: false, out target)) is { } error)
        {
            return error;
        }

        uint? type = PathArgument.TypeOf(source);
        uint? replaced = PathArgument.TypeOf(target);
        return (type, replaced) switch
        {
            _ when (flags & ~noReplace) != 0 => LinuxErrno.EINVAL,
            (null, _) => LinuxErrno.ENOENT,
            (_, not null) when (flags & noReplace) != 0 => LinuxErrno.EEXIST,
            (FileType.Directory, not null and not FileType.Directory) => LinuxErrno.ENOTDIR,
            (not FileType.Directory, FileType.Directory) => LinuxErrno.EISDIR,
            _ when source.Path == target.Path => 0,
            (FileType.Directory, not null) => PathArgument.Try(() =>
            {
                Directory.Delete(target.Path);
                Directory.Move(source.Path, target.Path);
            }),
            (FileType.Directory, null) => PathArgument.Try(() => Directory.Move(source.Path, target.Path)),
            _ => PathArgument.Try(() => File.Move(source.Path, target.Path, overwrite: true)),
        };
    }

    /// <summary>symlinkat(2). What the link leads to is judged when it is followed.</summary>
    public static SyscallResult Symlink(LinuxTask task, ulong target, int descriptor, ulong name)
    {
        HostPath place = default;
        if ((PathArgument.Read(task, target, out string text) ?? PathArgument.ResolveForWriting(task, descriptor, name, follow: false, out place)) is { } error)
        {
            return error;
        }

        return text.Length == 0 ? LinuxErrno.ENOENT
            : PathArgument.TypeOf(place) is not null ? LinuxErrno.EEXIST
            : PathArgument.Try(() => File.CreateSymbolicLink(place.Path, text));
    }

    /// <summary>fchmodat(2).</summary>
    public static SyscallResult ChangeMode(LinuxTask task, int descriptor, ulong name, uint mode) =>
        PathArgument.ResolveForWriting(task, descriptor, name, follow: true, out HostPath place) is { } error ? error : ChangeMode(place.Path, mode);

    /// <summary>fchmod(2).</summary>
    public static SyscallResult ChangeMode(LinuxTask task, int descriptor, uint mode)
    {
        if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
        {
            return LinuxErrno.EBADF;
        }

        return file is HostFile { MayWrite: true } host ? ChangeMode(host.Path, mode) : LinuxErrno.EROFS;
    }

    /// <summary>utimensat(2), with a name.</summary>
    public static SyscallResult SetTimes(LinuxTask task, int descriptor, ulong name, ulong times, int flags)
    {
        if (name == 0)
        {
            return LinuxErrno.EOPNOTSUPP;
        }

        if (PathArgument.ResolveForWriting(task, descriptor, name, (flags & AtFlags.NoFollow) == 0, out HostPath place) is { } error)
        {
            return error;
        }

        if (PathArgument.TypeOf(place) is null)
        {
            return LinuxErrno.ENOENT;
        }

        DateTime? modified = null;
        if ((TryTime(task, times, 0, out DateTime? accessed) ?? TryTime(task, times, 16, out modified)) is { } bad)
        {
            return bad;
        }

        return PathArgument.Try(() =>
        {
            if (accessed is { } access)
            {
                File.SetLastAccessTimeUtc(place.Path, access);
            }

            if (modified is { } modify)
            {
                File.SetLastWriteTimeUtc(place.Path, modify);
            }
        });
    }

    /// <summary>truncate(2).</summary>
    public static SyscallResult Truncate(LinuxTask task, ulong name, ulong length)
    {
        if (PathArgument.ResolveForWriting(task, AtFlags.CurrentFolder, name, follow: true, out HostPath place) is { } error)
        {
            return error;
        }

        return PathArgument.TypeOf(place) switch
        {
            null => LinuxErrno.ENOENT,
            FileType.Directory => LinuxErrno.EISDIR,
            FileType.Regular when length <= long.MaxValue => PathArgument.Try(() =>
            {
                using FileStream file = new(place.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
                file.SetLength((long)length);
            }),
            _ => LinuxErrno.EINVAL,
        };
    }

    /// <summary>umask(2).</summary>
    public static SyscallResult SetMask(LinuxTask task, uint mask)
    {
        FileSystemState state = task.Process.FileSystem;
        uint before = state.Mask;
        state.Mask = mask & 0x1ff;
        return before;
    }

    private static SyscallResult ChangeMode(string path, uint mode) => PathArgument.Try(() =>
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, (UnixFileMode)(mode & Permissions));
        }
    });

    /// <summary>One of the two times; null for UTIME_OMIT. Without times, and for UTIME_NOW, it is the guest's own.</summary>
    private static LinuxErrno? TryTime(LinuxTask task, ulong times, ulong offset, out DateTime? time)
    {
        const long now = (1 << 30) - 1, omit = (1 << 30) - 2;
        (long seconds, long nanoseconds) = (0, now);
        time = null;
        if (times != 0 && (!task.Memory.TryRead(times + offset, out seconds) || !task.Memory.TryRead(times + offset + 8, out nanoseconds)))
        {
            return LinuxErrno.EFAULT;
        }

        if (nanoseconds == omit)
        {
            return null;
        }

        if (nanoseconds == now)
        {
            (seconds, nanoseconds) = TimeCalls.RealTime(task.Kernel);
        }

        if (nanoseconds is < 0 or >= 1_000_000_000 || seconds is < 0 or > 253_402_300_799)
        {
            return LinuxErrno.EINVAL;
        }

        time = DateTime.UnixEpoch.AddSeconds(seconds).AddTicks(nanoseconds / 100);
        return null;
    }
}
