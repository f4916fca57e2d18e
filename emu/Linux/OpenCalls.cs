namespace Quadwalk.Emulation;

/// <summary>open(2) and openat(2).</summary>
internal static class OpenCalls
{
    private const int Kept = OpenFlags.AccessMask | OpenFlags.Append | OpenFlags.NonBlock;

    /// <summary>openat(2).</summary>
    public static SyscallResult Open(LinuxTask task, int descriptor, ulong address, int flags, uint mode)
    {
        if (PathArgument.Read(task, address, out string name) is { } error)
        {
            return error;
        }

        SyscallResult result = Open(task, descriptor, name, flags, mode & ~task.Process.FileSystem.Mask & 0xfff, out OpenFile? file);
        if (file is null)
        {
            return result;
        }

        file.Acquire();
        result = task.Process.Files.Add(file, (flags & OpenFlags.CloseOnExec) != 0);
        file.Release();
        return result;
    }

    private static SyscallResult Open(LinuxTask task, int descriptor, string name, int flags, uint mode, out OpenFile? file)
    {
        file = StandardFile(task, name) ?? DeviceFile.TryOpen(name, task.Kernel.Random, flags & Kept);
        if (file is not null)
        {
            return 0;
        }

        bool writes = (flags & OpenFlags.AccessMask) != OpenFlags.ReadOnly || (flags & OpenFlags.Truncate) != 0;
        bool follow = (flags & OpenFlags.NoFollow) == 0 && (flags & (OpenFlags.Create | OpenFlags.Exclusive)) != (OpenFlags.Create | OpenFlags.Exclusive);
        if (PathArgument.Resolve(task, descriptor, name, follow, out HostPath place) is { } error)
        {
            return error;
        }

        uint? type = PathArgument.TypeOf(place);
        switch (type)
        {
            case null when (flags & OpenFlags.Create) == 0:
                return LinuxErrno.ENOENT;
            case not null when (flags & (OpenFlags.Create | OpenFlags.Exclusive)) == (OpenFlags.Create | OpenFlags.Exclusive):
                return LinuxErrno.EEXIST;
            case FileType.Link:
                return LinuxErrno.ELOOP;
            case FileType.Directory:
                file = writes ? null : new HostDirectory(place, task.Kernel.Paths, flags & Kept);
                return writes ? LinuxErrno.EISDIR : 0;
            case FileType.Regular or null:
                break;
            default:
                return LinuxErrno.EACCES;
        }

        if ((flags & OpenFlags.Directory) != 0)
        {
            return LinuxErrno.ENOTDIR;
        }

        if ((writes || type is null) && place.Access != PathAccess.Write)
        {
            return LinuxErrno.EROFS;
        }

        return OpenHost(task, place.Path, flags, mode, create: type is null, out file);
    }

    private static SyscallResult OpenHost(LinuxTask task, string path, int flags, uint mode, bool create, out OpenFile? file)
    {
        file = null;
        ResourceCounts resources = task.Kernel.Resources;
        if (!resources.TryTakeFile())
        {
            return LinuxErrno.ENFILE;
        }

        FileStreamOptions options = new()
        {
            Mode = create ? FileMode.CreateNew : (flags & OpenFlags.Truncate) != 0 ? FileMode.Truncate : FileMode.Open,
            Access = (flags & OpenFlags.AccessMask) switch
            {
                OpenFlags.ReadOnly when create || (flags & OpenFlags.Truncate) != 0 => FileAccess.ReadWrite,
                OpenFlags.ReadOnly => FileAccess.Read,
                OpenFlags.WriteOnly => FileAccess.Write,
                _ => FileAccess.ReadWrite,
            },
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
        };
        try
        {
            if (create && !OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = (UnixFileMode)mode;
            }

            FileStream stream = new(path, options);
            file = new HostFile(stream.SafeFileHandle, path, flags & Kept, resources.ReleaseFile);
            return 0;
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            resources.ReleaseFile();
            return error;
        }
    }

    private static OpenFile? StandardFile(LinuxTask task, string name)
    {
        int? descriptor = name switch
        {
            "/dev/stdin" => 0,
            "/dev/stdout" => 1,
            "/dev/stderr" => 2,
            _ when name.StartsWith("/dev/fd/", StringComparison.Ordinal) && int.TryParse(name.AsSpan(8), out int number) => number,
            _ => null,
        };
        return descriptor is { } wanted && task.Process.Files.TryGet(wanted, out OpenFile? file) ? file : null;
    }
}
