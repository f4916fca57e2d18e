namespace Quadwalk.Emulation;

/// <summary>poll(2) and ppoll(2).</summary>
internal static class PollCalls
{
    private const ulong EntrySize = 8;

    /// <summary>ppoll(2), whose signal mask is not looked at.</summary>
    public static SyscallResult PollUntil(LinuxTask task, ulong entries, ulong count, ulong timeoutAddress)
    {
        ulong timeout = 0;
        return timeoutAddress != 0 && TimeCalls.TryRead(task, timeoutAddress, out timeout) is { } error
            ? error
            : Poll(task, entries, count, timeoutAddress == 0 ? null : timeout);
    }

    /// <summary>poll(2).</summary>
    /// <param name="task">Who asks.</param>
    /// <param name="entries">The address of <c>struct pollfd</c>s.</param>
    /// <param name="count">How many.</param>
    /// <param name="timeout">Nanoseconds, or null for ever.</param>
    public static SyscallResult Poll(LinuxTask task, ulong entries, ulong count, ulong? timeout)
    {
        if (count > FileTable.Limit)
        {
            return LinuxErrno.EINVAL;
        }

        int ready = 0;
        for (ulong at = entries; at < entries + count * EntrySize; at += EntrySize)
        {
            if (!task.Memory.TryRead(at, out ulong entry))
            {
                return LinuxErrno.EFAULT;
            }

            PollEvents found = Look(task, (int)entry, (PollEvents)(short)(entry >> 32));
            ready += found != 0 ? 1 : 0;
            if (!task.Memory.TryWrite(at + 6, (short)found))
            {
                return LinuxErrno.EFAULT;
            }
        }

        if (ready != 0 || timeout == 0)
        {
            return ready;
        }

        return TimeCalls.HasPassed(task, timeout) ? 0 : SyscallResult.Block;
    }

    private static PollEvents Look(LinuxTask task, int descriptor, PollEvents wanted)
    {
        if (descriptor < 0)
        {
            return 0;
        }

        return task.Process.Files.TryGet(descriptor, out OpenFile? file)
            ? file.Poll() & (wanted | PollEvents.Error | PollEvents.HangUp)
            : PollEvents.Invalid;
    }
}
