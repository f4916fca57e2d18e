namespace Quadwalk.Emulation;

/// <summary>The ends of processes, and who they are.</summary>
internal static class ProcessCalls
{
    /// <summary>The user and the group that every process is.</summary>
    public const int User = 1000;

    private const int NoHang = 1;

    /// <summary>exit(2), of a thread.</summary>
    public static SyscallResult Exit(LinuxTask task, int status)
    {
        task.Kernel.End(task, (status & 0xff) << 8);
        return SyscallResult.Done;
    }

    /// <summary>exit_group(2).</summary>
    public static SyscallResult ExitGroup(LinuxTask task, int status)
    {
        task.Kernel.End(task.Process, (status & 0xff) << 8);
        return SyscallResult.Done;
    }

    /// <summary>wait4(2), for children that ended.</summary>
    public static SyscallResult Wait(LinuxTask task, int id, ulong statusAddress, int options, ulong usageAddress)
    {
        LinuxProcess process = task.Process;
        bool any = false;
        foreach (LinuxProcess child in process.Children)
        {
            bool wanted = id switch
            {
                -1 => true,
                0 => child.Group.Group == process.Group.Group,
                > 0 => child.Id == id,
                _ => child.Group.Group == -id,
            };
            any |= wanted;
            if (!wanted || child.WaitStatus is not { } status)
            {
                continue;
            }

            if ((statusAddress != 0 && !task.Memory.TryWrite(statusAddress, status))
                || (usageAddress != 0 && !TimeCalls.TryWriteUsage(task, usageAddress, child.Instructions + child.ChildInstructions)))
            {
                return LinuxErrno.EFAULT;
            }

            process.Children.Remove(child);
            process.ChildInstructions += child.Instructions + child.ChildInstructions;
            return child.Id;
        }

        return !any ? LinuxErrno.ECHILD : (options & NoHang) != 0 ? 0 : SyscallResult.Block;
    }

    /// <summary>getresuid(2), getresgid(2).</summary>
    public static SyscallResult GetUsers(LinuxTask task, ulong real, ulong effective, ulong saved) =>
        task.Memory.TryWrite(real, User) && task.Memory.TryWrite(effective, User) && task.Memory.TryWrite(saved, User) ? 0 : LinuxErrno.EFAULT;

    /// <summary>setuid(2) and its relatives: nobody can become another; -1 leaves an id as it is.</summary>
    public static SyscallResult SetUsers(params ReadOnlySpan<int> ids) =>
        ids.ContainsAnyExcept(User, -1) ? LinuxErrno.EPERM : 0;

    /// <summary>getpgid(2), getsid(2).</summary>
    public static SyscallResult GetGroup(LinuxTask task, int id, bool session) =>
        Find(task, id) is { } process ? session ? process.Group.Session : process.Group.Group : LinuxErrno.ESRCH;

    /// <summary>setpgid(2).</summary>
    public static SyscallResult SetGroup(LinuxTask task, int id, int group)
    {
        if (group < 0)
        {
            return LinuxErrno.EINVAL;
        }

        if (Find(task, id) is not { } process || (process != task.Process && process.Parent != task.Process))
        {
            return LinuxErrno.ESRCH;
        }

        process.Group = process.Group with { Group = group == 0 ? process.Id : group };
        return 0;
    }

    /// <summary>setsid(2).</summary>
    public static SyscallResult SetSession(LinuxTask task)
    {
        int id = task.Process.Id;
        if (task.Process.Group.Group == id)
        {
            return LinuxErrno.EPERM;
        }

        task.Process.Group = (id, id);
        return id;
    }

    private static LinuxProcess? Find(LinuxTask task, int id) =>
        id == 0 ? task.Process : task.Kernel.Tasks.Select(other => other.Process).FirstOrDefault(process => process.Id == id);
}
