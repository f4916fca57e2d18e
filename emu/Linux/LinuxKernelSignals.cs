using System.Numerics;

namespace Quadwalk.Emulation;

internal sealed partial class LinuxKernel
{
    /// <summary>Sends a signal to a process.</summary>
    public static void Send(LinuxProcess process, SignalInfo info) => Send(process, process.Pending, info);

    /// <summary>Sends a signal to one thread.</summary>
    public static void Send(LinuxTask task, SignalInfo info) => Send(task.Process, task.Pending, info);

    /// <summary>Ends a process: all threads, memory and descriptors.</summary>
    /// <param name="process">Which.</param>
    /// <param name="status">As wait4(2) reports it.</param>
    public void End(LinuxProcess process, int status)
    {
        if (process.WaitStatus is not null)
        {
            return;
        }

        process.WaitStatus = status;
        process.LeftParent = true;
        foreach (LinuxTask task in process.Threads.ToArray())
        {
            Remove(task);
        }

        process.Files.Release();
        process.Memory.Release();
        foreach (LinuxProcess child in process.Children)
        {
            child.Parent = null;
        }

        process.Children.Clear();
        if (process.Parent is not { } parent)
        {
            return;
        }

        SignalAction action = parent.Actions[Signal.SIGCHLD];
        if (action.Handler == SignalAction.Ignore || (action.Flags & SignalAction.NoChildWait) != 0)
        {
            parent.Children.Remove(process);
        }

        bool exited = (status & 0x7f) == 0;
        Send(parent, new SignalInfo(Signal.SIGCHLD, exited ? 1 : 2, SenderOf(process), exited ? status >> 8 : status & 0x7f));
    }

    /// <summary>Ends a thread, and the process with its last one.</summary>
    public void End(LinuxTask task, int status)
    {
        if (task.Process.Threads.Count == 1)
        {
            End(task.Process, status);
        }
        else
        {
            Remove(task);
        }
    }

    /// <summary>What <c>siginfo_t</c> says of a sender.</summary>
    public static ulong SenderOf(LinuxProcess process) => (uint)process.Id | (ulong)ProcessCalls.User << 32;

    /// <summary>Ends all threads of a process but one: execve(2).</summary>
    public void KeepOnly(LinuxTask task)
    {
        foreach (LinuxTask other in task.Process.Threads.ToArray())
        {
            if (other != task)
            {
                Remove(other);
            }
        }
    }

    private void Remove(LinuxTask task)
    {
        if (task.ClearAtExit != 0 && task.Process.Memory.TryWrite(task.ClearAtExit, 0))
        {
            FutexCalls.Wake(task, task.ClearAtExit, 1, uint.MaxValue);
        }

        task.IsDead = true;
        int index = tasks.IndexOf(task);
        tasks.RemoveAt(index);
        task.Process.Threads.Remove(task);
        if (Current == task)
        {
            Current = null;
            nextIndex = index;
        }
        else if (Current is null && index < nextIndex)
        {
            nextIndex--;
        }
    }

    private static void Send(LinuxProcess process, PendingSignals pending, SignalInfo info)
    {
        if (process.WaitStatus is not null)
        {
            return;
        }

        if (info.Number is Signal.SIGCONT or Signal.SIGKILL)
        {
            process.Stopped = false;
        }

        bool blocked = process.Threads.TrueForAll(task => (task.Blocked & Signal.Bit(info.Number)) != 0);
        if (blocked || !process.Actions[info.Number].Ignores(info.Number))
        {
            pending.Add(info);
        }
    }

    /// <summary>Ends a process by a signal that it does not handle, and says so where there is something to say.</summary>
    private void Kill(LinuxProcess process, int signal, string? reason = null)
    {
        if (process == first)
        {
            death = reason is null ? null : $"killed by {reason}";
        }
        else if (reason is not null)
        {
            Options.Complain?.Invoke($"process {process.Id} was killed by {reason}");
        }

        End(process, signal);
    }

    /// <summary>Makes a call that waits come back because of a signal: with EINTR, or by being made again.</summary>
    private static void Interrupt(LinuxTask task)
    {
        int signal = BitOperations.TrailingZeroCount(task.Deliverable) + 1;
        bool restarts = (task.Process.Actions[signal].Flags & SignalAction.Restart) != 0 && LinuxCalls.Restarts(task.Call.Number);
        ref CpuState cpu = ref task.Registers;
        if (task.Wait.Progress != 0)
        {
            cpu.Gpr[GeneralRegister.Rax] = task.Wait.Progress;
        }
        else if (restarts)
        {
            cpu.Rip -= SyscallLength;
        }
        else
        {
            TimeCalls.Interrupted(task);
            cpu.Gpr[GeneralRegister.Rax] = unchecked((ulong)-(long)LinuxErrno.EINTR);
        }

        task.IsBlocked = false;
        task.Wait.Clear();
    }

    /// <summary>Lets the pending signals of the running task take effect; false where it does not go on.</summary>
    private bool Deliver(LinuxTask task)
    {
        while (task.Deliverable is not 0 and ulong set)
        {
            int signal = BitOperations.TrailingZeroCount(set) + 1;
            PendingSignals source = (task.Pending.Set & Signal.Bit(signal)) != 0 ? task.Pending : task.Process.Pending;
            SignalInfo info = source.Take(signal);
            SignalAction action = task.Process.Actions[signal];
            if (action.Ignores(signal))
            {
                continue;
            }

            if (action.Handler == SignalAction.Default)
            {
                if (Signal.DefaultOf(signal) == DefaultAction.Stop)
                {
                    task.Process.Stopped = true;
                }
                else
                {
                    Kill(task.Process, signal);
                }

                return false;
            }

            ulong before = task.BlockedBefore ?? task.Blocked;
            task.BlockedBefore = null;
            if (!SignalFrame.TryPush(task, info, action, before))
            {
                Kill(task.Process, Signal.SIGSEGV, $"SIGSEGV: the stack at 0x{task.Registers.Gpr[GeneralRegister.Rsp]:x} cannot take the frame of {Signal.NameOf(signal)}");
                return false;
            }

            task.Blocked |= action.Mask | ((action.Flags & SignalAction.NoDefer) == 0 ? Signal.Bit(signal) : 0);
            task.Blocked &= ~Signal.Unblockable;
            if ((action.Flags & SignalAction.ResetHand) != 0)
            {
                task.Process.Actions[signal] = default;
            }
        }

        task.Blocked = task.BlockedBefore ?? task.Blocked;
        task.BlockedBefore = null;
        return true;
    }
}
