namespace Quadwalk.Emulation;

/// <summary>Calls on descriptors that move no data.</summary>
internal static class FileCalls
{
    private const int DupDescriptor = 0, GetDescriptorFlags = 1, SetDescriptorFlags = 2, GetFlags = 3, SetFlags = 4, DupCloseOnExec = 1030;

    /// <summary>lseek(2).</summary>
    public static SyscallResult Seek(LinuxTask task, int descriptor, long offset, int whence) =>
        task.Process.Files.TryGet(descriptor, out OpenFile? file) ? file.Seek(offset, whence) : LinuxErrno.EBADF;

    /// <summary>Calls that have nothing to do but to look whether the descriptor exists.</summary>
    public static SyscallResult Check(LinuxTask task, int descriptor) =>
        task.Process.Files.TryGet(descriptor, out _) ? 0 : LinuxErrno.EBADF;

    /// <summary>ioctl(2): nothing here is a terminal.</summary>
    public static SyscallResult Ioctl(LinuxTask task, int descriptor) =>
        task.Process.Files.TryGet(descriptor, out _) ? LinuxErrno.ENOTTY : LinuxErrno.EBADF;

    /// <summary>fcntl(2).</summary>
    public static SyscallResult Fcntl(LinuxTask task, int descriptor, int command, ulong argument)
    {
        FileTable files = task.Process.Files;
        if (!files.TryGet(descriptor, out OpenFile? file))
        {
            return LinuxErrno.EBADF;
        }

        switch (command)
        {
            case DupDescriptor or DupCloseOnExec:
                return argument >= FileTable.Limit ? LinuxErrno.EINVAL : files.Add(file, command == DupCloseOnExec, (int)argument);
            case GetDescriptorFlags:
                return files[descriptor] ? 1 : 0;
            case SetDescriptorFlags:
                files[descriptor] = (argument & 1) != 0;
                return 0;
            case GetFlags:
                return file.Flags;
            case SetFlags:
                file.Flags = (file.Flags & ~OpenFlags.Changeable) | ((int)argument & OpenFlags.Changeable);
                return 0;
            default:
                return LinuxErrno.EINVAL;
        }
    }

    /// <summary>dup(2).</summary>
    public static SyscallResult Dup(LinuxTask task, int descriptor) =>
        task.Process.Files.TryGet(descriptor, out OpenFile? file) ? task.Process.Files.Add(file) : LinuxErrno.EBADF;

    /// <summary>dup2(2).</summary>
    public static SyscallResult Dup2(LinuxTask task, int descriptor, int target)
    {
        FileTable files = task.Process.Files;
        if (!files.TryGet(descriptor, out OpenFile? file) || target is < 0 or >= FileTable.Limit)
        {
            return LinuxErrno.EBADF;
        }

        if (target != descriptor)
        {
            files.Set(target, file, closeOnExec: false);
        }

        return target;
    }

    /// <summary>dup3(2).</summary>
    public static SyscallResult Dup3(LinuxTask task, int descriptor, int target, int flags)
    {
        if (target == descriptor || (flags & ~OpenFlags.CloseOnExec) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        SyscallResult result = Dup2(task, descriptor, target);
        if (!result.Failed)
        {
            task.Process.Files[target] = flags != 0;
        }

        return result;
    }

    /// <summary>pipe2(2).</summary>
    public static SyscallResult Pipe(LinuxTask task, ulong address, int flags)
    {
        if ((flags & ~(OpenFlags.CloseOnExec | OpenFlags.NonBlock)) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        ResourceCounts resources = task.Kernel.Resources;
        if (!resources.TryTakePipe())
        {
            return LinuxErrno.ENFILE;
        }

        (OpenFile reader, OpenFile writer) = Emulation.Pipe.Create(flags & OpenFlags.NonBlock, resources.ReleasePipe);
        reader.Acquire();
        writer.Acquire();
        SyscallResult result = Install(task, address, reader, writer, (flags & OpenFlags.CloseOnExec) != 0);
        reader.Release();
        writer.Release();
        return result;
    }

    /// <summary>ftruncate(2).</summary>
    public static SyscallResult Truncate(LinuxTask task, int descriptor, ulong length) =>
        !task.Process.Files.TryGet(descriptor, out OpenFile? file) ? LinuxErrno.EBADF
        : file.MayWrite ? file.Truncate(length)
        : LinuxErrno.EINVAL;

    /// <summary>getdents64(2).</summary>
    public static SyscallResult ReadEntries(LinuxTask task, int descriptor, ulong buffer, ulong count)
    {
        const int most = 1 << 16;
        if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
        {
            return LinuxErrno.EBADF;
        }

        if (file is not HostDirectory directory)
        {
            return LinuxErrno.ENOTDIR;
        }

        int room = (int)task.Memory.Writable(buffer, Math.Min(count, most));
        if (room == 0)
        {
            return LinuxErrno.EFAULT;
        }

        byte[] bytes = new byte[room];
        SyscallResult result = directory.ReadEntries(bytes);
        return result.Failed || task.Memory.TryWrite(buffer, bytes.AsSpan(0, (int)result.Value)) ? result : LinuxErrno.EFAULT;
    }

    private static SyscallResult Install(LinuxTask task, ulong address, OpenFile reader, OpenFile writer, bool closeOnExec)
    {
        FileTable files = task.Process.Files;
        SyscallResult first = files.Add(reader, closeOnExec);
        if (first.Failed)
        {
            return first;
        }

        SyscallResult second = files.Add(writer, closeOnExec);
        if (!second.Failed && task.Memory.TryWrite(address, (uint)first.Value | (ulong)second.Value << 32))
        {
            return 0;
        }

        files.Close(first.Value);
        files.Close(second.Value);
        return second.Failed ? second : LinuxErrno.EFAULT;
    }
}
