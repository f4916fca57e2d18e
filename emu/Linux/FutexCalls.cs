namespace Quadwalk.Emulation;

/// <summary>futex(2): waiting, waking and moving waiters, in the order in which they came.</summary>
internal static class FutexCalls
{
    private const int Wait = 0, WakeUp = 1, Requeue = 3, CompareRequeue = 4, WaitBits = 9, WakeBits = 10;
    private const int CommandMask = 0x7f, RealtimeClock = 0x100;

    /// <summary>futex(2).</summary>
    public static SyscallResult Futex(LinuxTask task, in SyscallArguments a)
    {
        ulong address = a.A0;
        uint value = (uint)a.A2, bits = (uint)a.A5;
        int command = (int)a.A1 & CommandMask;
        if ((address & 3) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        switch (command)
        {
            case Wait:
                return WaitFor(task, a, value, uint.MaxValue, absolute: false);
            case WaitBits:
                return bits == 0 ? LinuxErrno.EINVAL : WaitFor(task, a, value, bits, absolute: true);
            case WakeUp:
                return Wake(task, address, value, uint.MaxValue);
            case WakeBits:
                return bits == 0 ? LinuxErrno.EINVAL : Wake(task, address, value, bits);
            case Requeue or CompareRequeue:
                if (!task.Memory.TryRead(address, out uint now))
                {
                    return LinuxErrno.EFAULT;
                }

                return command == CompareRequeue && now != (uint)a.A5 ? LinuxErrno.EAGAIN : Move(task, address, value, a.A4, a.A3);
            default:
                return LinuxErrno.ENOSYS;
        }
    }

    /// <summary>Wakes up to <paramref name="count"/> waiters; how many it were.</summary>
    public static long Wake(LinuxTask task, ulong address, uint count, uint bits)
    {
        long woken = 0;
        foreach (LinuxTask waiter in Waiters(task, address))
        {
            if (woken >= Math.Max(1, (int)count))
            {
                break;
            }

            if ((waiter.Wait.FutexQueue.Bits & bits) != 0)
            {
                waiter.Wait.Woken = true;
                woken++;
            }
        }

        return woken;
    }

    private static long Move(LinuxTask task, ulong address, uint wake, ulong target, ulong move)
    {
        long done = wake == 0 ? 0 : Wake(task, address, wake, uint.MaxValue);
        foreach (LinuxTask waiter in Waiters(task, address).Take((int)Math.Min(move, LinuxKernel.MostTasks)))
        {
            waiter.Wait.Futex = KeyOf(waiter, target);
            done++;
        }

        return done;
    }

    private static LinuxTask[] Waiters(LinuxTask task, ulong address)
    {
        (AddressSpace?, ulong) key = KeyOf(task, address);
        return [.. task.Kernel.Tasks.Where(other => other.IsBlocked && other.Wait.Futex == key && !other.Wait.Woken).OrderBy(other => other.Wait.FutexQueue.Order)];
    }

    /// <summary>What makes a futex the same for all who share it.</summary>
    private static (AddressSpace? Memory, ulong Address) KeyOf(LinuxTask task, ulong address) =>
        task.Memory.Find(address) is { Shared: not null } && task.Memory.Resolve(address, Mmu.AccessKind.Read, out GuestMemory.Gpa gpa) == AccessEnd.Present
            ? (null, gpa.Value)
            : (task.Memory, address);

    private static SyscallResult WaitFor(LinuxTask task, in SyscallArguments a, uint expected, uint bits, bool absolute)
    {
        WaitState wait = task.Wait;
        if (wait.Begun)
        {
            return wait.Woken ? 0 : task.Kernel.Now >= wait.Deadline ? LinuxErrno.ETIMEDOUT : SyscallResult.Block;
        }

        if (!task.Memory.TryRead(a.A0, out uint value))
        {
            return LinuxErrno.EFAULT;
        }

        if (value != expected)
        {
            return LinuxErrno.EAGAIN;
        }

        if (a.A3 != 0)
        {
            if (TimeCalls.TryRead(task, a.A3, out ulong time) is { } error)
            {
                return error;
            }

            ulong clock = absolute ? TimeCalls.Read(task, ((int)a.A1 & RealtimeClock) != 0 ? 0 : 1) : 0;
            ulong rest = time > clock ? time - clock : 0;
            wait.Deadline = task.Kernel.Now + rest < rest ? ulong.MaxValue : task.Kernel.Now + rest;
        }

        wait.Futex = KeyOf(task, a.A0);
        wait.FutexQueue = (bits, task.Kernel.TakeOrder());
        return SyscallResult.Block;
    }
}
