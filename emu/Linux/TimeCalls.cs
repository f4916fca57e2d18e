namespace Quadwalk.Emulation;

/// <summary>Time, of which a retired instruction takes a nanosecond, and waiting for it.</summary>
internal static class TimeCalls
{
    /// <summary>Nanoseconds in a second.</summary>
    public const ulong Second = 1_000_000_000;

    /// <summary>USER_HZ.</summary>
    public const ulong TicksPerSecond = 100;

    private const int Realtime = 0, ProcessTime = 2, ThreadTime = 3, RealtimeCoarse = 5, Boottime = 7, Tai = 11, LastClock = 11;

    /// <summary>CLOCK_REALTIME.</summary>
    public static (long Seconds, long Nanoseconds) RealTime(LinuxKernel kernel) =>
        (LinuxKernel.Epoch + (long)(kernel.Now / Second), (long)(kernel.Now % Second));

    /// <summary>clock_gettime(2).</summary>
    public static SyscallResult Get(LinuxTask task, int clock, ulong buffer) =>
        !IsClock(clock) ? LinuxErrno.EINVAL : TryWrite(task, buffer, Read(task, clock)) ? 0 : LinuxErrno.EFAULT;

    /// <summary>clock_getres(2).</summary>
    public static SyscallResult Resolution(LinuxTask task, int clock, ulong buffer) =>
        !IsClock(clock) ? LinuxErrno.EINVAL : buffer == 0 || TryWrite(task, buffer, 1) ? 0 : LinuxErrno.EFAULT;

    /// <summary>gettimeofday(2).</summary>
    public static SyscallResult GetTimeOfDay(LinuxTask task, ulong buffer)
    {
        (long seconds, long nanoseconds) = RealTime(task.Kernel);
        return buffer == 0 || (task.Memory.TryWrite(buffer, seconds) && task.Memory.TryWrite(buffer + 8, nanoseconds / 1000)) ? 0 : LinuxErrno.EFAULT;
    }

    /// <summary>time(2).</summary>
    public static SyscallResult Seconds(LinuxTask task, ulong buffer)
    {
        (long seconds, _) = RealTime(task.Kernel);
        return buffer == 0 || task.Memory.TryWrite(buffer, seconds) ? seconds : LinuxErrno.EFAULT;
    }

    /// <summary>clock_nanosleep(2). What remains after a signal is written by <see cref="Interrupted"/>.</summary>
    public static SyscallResult Sleep(LinuxTask task, int clock, int flags, ulong request)
    {
        const int absolute = 1;
        if (!IsClock(clock) || clock == ThreadTime)
        {
            return LinuxErrno.EINVAL;
        }

        if (!task.Wait.Begun)
        {
            if (TryRead(task, request, out ulong time) is { } error)
            {
                return error;
            }

            ulong passed = (flags & absolute) == 0 ? 0 : Read(task, clock);
            task.Wait.Deadline = After(task.Kernel.Now, time > passed ? time - passed : 0);
        }

        return task.Kernel.Now >= task.Wait.Deadline ? 0 : SyscallResult.Block;
    }

    /// <summary>A signal ended a sleep.</summary>
    public static void Interrupted(LinuxTask task)
    {
        SyscallArguments call = task.Call;
        ulong remaining = call.Number switch
        {
            LinuxSyscall.Nanosleep => call.A1,
            LinuxSyscall.ClockNanosleep when (call.A1 & 1) == 0 => call.A3,
            _ => 0,
        };
        if (remaining != 0 && task.Wait.Deadline is { } deadline)
        {
            TryWrite(task, remaining, deadline > task.Kernel.Now ? deadline - task.Kernel.Now : 0);
        }
    }

    /// <summary>times(2).</summary>
    public static SyscallResult Times(LinuxTask task, ulong buffer)
    {
        const ulong tick = Second / TicksPerSecond;
        LinuxProcess process = task.Process;
        bool written = buffer == 0
            || (task.Memory.TryWrite(buffer, process.Instructions / tick) && task.Memory.TryWrite(buffer + 8, 0UL)
                && task.Memory.TryWrite(buffer + 16, process.ChildInstructions / tick) && task.Memory.TryWrite(buffer + 24, 0UL));
        return written ? (long)(task.Kernel.Now / tick) : LinuxErrno.EFAULT;
    }

    /// <summary>getrusage(2).</summary>
    public static SyscallResult Usage(LinuxTask task, int who, ulong buffer)
    {
        const int children = -1, self = 0, thread = 1;
        if (who is not (children or self or thread))
        {
            return LinuxErrno.EINVAL;
        }

        return TryWriteUsage(task, buffer, who == children ? task.Process.ChildInstructions : task.Process.Instructions) ? 0 : LinuxErrno.EFAULT;
    }

    /// <summary>Writes <c>struct rusage</c>, of which only the time is known.</summary>
    public static bool TryWriteUsage(LinuxTask task, ulong buffer, ulong nanoseconds)
    {
        Span<byte> usage = stackalloc byte[144];
        usage.Clear();
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(usage, nanoseconds / Second);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(usage[8..], nanoseconds % Second / 1000);
        return task.Memory.TryWrite(buffer, usage);
    }

    /// <summary>Whether a timeout that began with the first attempt of a call is over; null never is.</summary>
    public static bool HasPassed(LinuxTask task, ulong? timeout)
    {
        if (!task.Wait.Begun)
        {
            task.Wait.Deadline = timeout is { } length ? After(task.Kernel.Now, length) : null;
        }

        return task.Kernel.Now >= task.Wait.Deadline;
    }

    /// <summary>Reads <c>struct timespec</c> in nanoseconds.</summary>
    public static LinuxErrno? TryRead(LinuxTask task, ulong address, out ulong nanoseconds)
    {
        nanoseconds = 0;
        if (!task.Memory.TryRead(address, out long seconds) || !task.Memory.TryRead(address + 8, out long rest))
        {
            return LinuxErrno.EFAULT;
        }

        if (seconds < 0 || rest is < 0 or >= (long)Second)
        {
            return LinuxErrno.EINVAL;
        }

        nanoseconds = (ulong)seconds >= ulong.MaxValue / Second ? ulong.MaxValue : (ulong)seconds * Second + (ulong)rest;
        return null;
    }

    /// <summary>What a clock says, in nanoseconds.</summary>
    public static ulong Read(LinuxTask task, int clock) => clock switch
    {
        Realtime or RealtimeCoarse or Tai => task.Kernel.Now + (ulong)LinuxKernel.Epoch * Second,
        ProcessTime or ThreadTime => task.Process.Instructions,
        _ => task.Kernel.Now,
    };

    private static bool IsClock(int clock) => clock is >= 0 and <= LastClock and not (8 or 9 or 10) || clock == Boottime;

    private static ulong After(ulong now, ulong length) => now + length < now ? ulong.MaxValue : now + length;

    private static bool TryWrite(LinuxTask task, ulong address, ulong nanoseconds) =>
        task.Memory.TryWrite(address, nanoseconds / Second) && task.Memory.TryWrite(address + 8, nanoseconds % Second);
}
