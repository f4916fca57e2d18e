namespace Quadwalk.Emulation;

/// <summary>Sending signals, and saying what to do on them.</summary>
internal static class SignalCalls
{
    private const ulong SetSize = sizeof(ulong);

    /// <summary>rt_sigaction(2).</summary>
    public static SyscallResult Action(LinuxTask task, int signal, ulong newAction, ulong oldAction, ulong size)
    {
        bool fixedOne = signal is Signal.SIGKILL or Signal.SIGSTOP;
        if (size != SetSize || signal is < 1 or > Signal.Count || (fixedOne && newAction != 0))
        {
            return LinuxErrno.EINVAL;
        }

        LinuxProcess process = task.Process;
        SignalAction action = default;
        if (newAction != 0 && !task.Memory.TryRead(newAction, out action))
        {
            return LinuxErrno.EFAULT;
        }

        if (oldAction != 0 && !task.Memory.TryWrite(oldAction, process.Actions[signal]))
        {
            return LinuxErrno.EFAULT;
        }

        if (newAction != 0)
        {
            process.Actions[signal] = action with { Mask = action.Mask & ~Signal.Unblockable };
            if (action.Ignores(signal))
            {
                process.Pending.Remove(Signal.Bit(signal));
                process.Threads.ForEach(thread => thread.Pending.Remove(Signal.Bit(signal)));
            }
        }

        return 0;
    }

    /// <summary>rt_sigprocmask(2).</summary>
    public static SyscallResult Mask(LinuxTask task, int how, ulong newSet, ulong oldSet, ulong size)
    {
        const int block = 0, unblock = 1, set = 2;
        if (size != SetSize)
        {
            return LinuxErrno.EINVAL;
        }

        ulong before = task.Blocked;
        if (newSet != 0)
        {
            if (!task.Memory.TryRead(newSet, out ulong mask))
            {
                return LinuxErrno.EFAULT;
            }

            if (how is not (block or unblock or set))
            {
                return LinuxErrno.EINVAL;
            }

            ulong after = how switch { block => before | mask, unblock => before & ~mask, _ => mask };
            task.Blocked = after & ~Signal.Unblockable;
        }

        return oldSet == 0 || task.Memory.TryWrite(oldSet, before) ? 0 : LinuxErrno.EFAULT;
    }

    /// <summary>rt_sigreturn(2); a frame that is none kills.</summary>
    public static SyscallResult Return(LinuxTask task)
    {
        if (SignalFrame.TryPop(task, out ulong blocked))
        {
            task.Blocked = blocked & ~Signal.Unblockable;
        }
        else
        {
            task.Process.Actions[Signal.SIGSEGV] = default;
            task.Blocked &= ~Signal.Bit(Signal.SIGSEGV);
            LinuxKernel.Send(task, new SignalInfo(Signal.SIGSEGV, Signal.KernelCode, 0));
        }

        return SyscallResult.Done;
    }

    /// <summary>rt_sigsuspend(2).</summary>
    public static SyscallResult Suspend(LinuxTask task, ulong set, ulong size)
    {
        if (task.Wait.Begun)
        {
            return SyscallResult.Block;
        }

        if (size != SetSize)
        {
            return LinuxErrno.EINVAL;
        }

        if (!task.Memory.TryRead(set, out ulong mask))
        {
            return LinuxErrno.EFAULT;
        }

        task.BlockedBefore = task.Blocked;
        task.Blocked = mask & ~Signal.Unblockable;
        return SyscallResult.Block;
    }

    /// <summary>rt_sigpending(2).</summary>
    public static SyscallResult Pending(LinuxTask task, ulong set, ulong size) =>
        size > SetSize ? LinuxErrno.EINVAL
        : task.Memory.TryWrite(set, (task.Pending.Set | task.Process.Pending.Set) & task.Blocked) ? 0
        : LinuxErrno.EFAULT;

    /// <summary>sigaltstack(2).</summary>
    public static SyscallResult Stack(LinuxTask task, ulong newStack, ulong oldStack)
    {
        const ulong smallest = 2048;
        AlternateStack now = task.SignalStack;
        bool onIt = now.Contains(task.Registers.Gpr[GeneralRegister.Rsp]);
        AlternateStack wanted = now;
        if (newStack != 0)
        {
            if (!task.Memory.TryRead(newStack, out wanted))
            {
                return LinuxErrno.EFAULT;
            }

            if (onIt)
            {
                return LinuxErrno.EPERM;
            }

            bool disabled = (wanted.Flags & AlternateStack.Disabled) != 0;
            if (!disabled && wanted.Size < smallest)
            {
                return LinuxErrno.ENOMEM;
            }

            wanted = disabled ? AlternateStack.None : wanted with { Flags = 0 };
        }

        if (oldStack != 0 && !task.Memory.TryWrite(oldStack, now with { Flags = onIt ? 1 : now.Flags }))
        {
            return LinuxErrno.EFAULT;
        }

        task.SignalStack = wanted;
        return 0;
    }

    /// <summary>kill(2).</summary>
    public static SyscallResult Kill(LinuxTask task, int id, int signal)
    {
        if (signal is < 0 or > Signal.Count)
        {
            return LinuxErrno.EINVAL;
        }

        int group = id == 0 ? task.Process.Group.Group : -id;
        LinuxProcess[] targets =
        [
            .. task.Kernel.Tasks.Select(other => other.Process).Distinct().Where(process => id switch
            {
                > 0 => process.Id == id,
                -1 => process != task.Process,
                _ => process.Group.Group == group,
            }),
        ];
        foreach (LinuxProcess target in signal == 0 ? [] : targets)
        {
            LinuxKernel.Send(target, new SignalInfo(signal, 0, LinuxKernel.SenderOf(task.Process)));
        }

        bool dead = task.Process.Children.Exists(child => child.Id == id && child.WaitStatus is not null);
        return targets.Length != 0 || dead ? 0 : LinuxErrno.ESRCH;
    }

    /// <summary>tgkill(2), and tkill(2) without a process.</summary>
    public static SyscallResult KillThread(LinuxTask task, int? process, int id, int signal)
    {
        const int fromTkill = -6;
        if (signal is < 0 or > Signal.Count || id <= 0 || process <= 0)
        {
            return LinuxErrno.EINVAL;
        }

        if (task.Kernel.Tasks.FirstOrDefault(other => other.Id == id && (process is null || other.Process.Id == process)) is not { } target)
        {
            return LinuxErrno.ESRCH;
        }

        if (signal != 0)
        {
            LinuxKernel.Send(target, new SignalInfo(signal, fromTkill, LinuxKernel.SenderOf(task.Process)));
        }

        return 0;
    }
}
