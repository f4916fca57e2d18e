using System.Runtime.InteropServices;
using System.Text;

namespace Quadwalk.Emulation;

/// <summary>What a program asks of the system, and sets for itself.</summary>
internal static class ControlCalls
{
    private const int Stack = 3, Files = 7, Processes = 6, Limits = 16;
    private const ulong Unlimited = ulong.MaxValue;

    /// <summary>uname(2).</summary>
    public static SyscallResult Name(LinuxTask task, ulong buffer)
    {
        const int field = 65;
        string[] fields = ["Linux", "quadwalk", "6.1.0", "#1", "x86_64", "(none)"];
        Span<byte> bytes = stackalloc byte[field * fields.Length];
        bytes.Clear();
        for (int i = 0; i < fields.Length; i++)
        {
            Encoding.ASCII.GetBytes(fields[i], bytes.Slice(i * field, field));
        }

        return Result(task.Memory.TryWrite(buffer, bytes));
    }

    /// <summary>sysinfo(2).</summary>
    public static SyscallResult Information(LinuxTask task, ulong buffer)
    {
        Span<ulong> words = stackalloc ulong[14];
        words.Clear();
        words[0] = task.Kernel.Now / TimeCalls.Second;
        words[4] = task.Kernel.Frames.Total << 12;
        words[5] = task.Kernel.Frames.Free << 12;
        words[10] = (ulong)task.Kernel.Tasks.Select(other => other.Process).Distinct().Count();
        words[13] = 1;
        return Result(task.Memory.TryWrite(buffer, MemoryMarshal.AsBytes(words)));
    }

    /// <summary>prctl(2): the name.</summary>
    public static SyscallResult Control(LinuxTask task, int option, ulong argument)
    {
        const int setName = 15, getName = 16, longest = 16;
        Span<byte> name = stackalloc byte[longest];
        name.Clear();
        switch (option)
        {
            case setName:
                LinuxErrno? error = task.Memory.ReadString(argument, longest, out byte[] text);
                if (error == LinuxErrno.ENAMETOOLONG)
                {
                    text = new byte[longest - 1];
                    task.Memory.TryRead(argument, text);
                }
                else if (error is { } bad)
                {
                    return bad;
                }

                task.Process.Name = text;
                return 0;
            case getName:
                task.Process.Name.CopyTo(name);
                return Result(task.Memory.TryWrite(argument, name));
            default:
                return LinuxErrno.EINVAL;
        }
    }

    /// <summary>arch_prctl(2): the bases of FS and GS.</summary>
    public static SyscallResult ControlSegments(LinuxTask task, int option, ulong address)
    {
        const int setGs = 0x1001, setFs = 0x1002, getFs = 0x1003, getGs = 0x1004;
        ref CpuState cpu = ref task.Registers;
        int segment = option is setGs or getGs ? SegmentIndex.Gs : SegmentIndex.Fs;
        switch (option)
        {
            case setGs or setFs:
                if (address >= AddressSpace.End)
                {
                    return LinuxErrno.EPERM;
                }

                cpu.Segments[segment].Base = address;
                return 0;
            case getGs or getFs:
                return Result(task.Memory.TryWrite(address, cpu.Segments[segment].Base));
            default:
                return LinuxErrno.EINVAL;
        }
    }

    /// <summary>getrlimit(2).</summary>
    public static SyscallResult Limit(LinuxTask task, int resource, ulong buffer)
    {
        if (resource is < 0 or >= Limits)
        {
            return LinuxErrno.EINVAL;
        }

        ulong limit = resource switch
        {
            Stack => AddressSpace.StackBytes,
            Files => FileTable.Limit,
            Processes => LinuxKernel.MostTasks,
            _ => Unlimited,
        };
        return Result(task.Memory.TryWrite(buffer, limit) && task.Memory.TryWrite(buffer + sizeof(ulong), limit));
    }

    /// <summary>setrlimit(2): limits are fixed.</summary>
    public static SyscallResult SetLimit(LinuxTask task, int resource, ulong buffer) =>
        resource is < 0 or >= Limits ? LinuxErrno.EINVAL
        : task.Memory.TryRead(buffer, out ulong _) ? LinuxErrno.EPERM
        : LinuxErrno.EFAULT;

    /// <summary>prlimit64(2), of the process itself.</summary>
    public static SyscallResult SetLimit(LinuxTask task, int id, int resource, ulong newLimit, ulong oldLimit)
    {
        if (id != 0 && id != task.Process.Id)
        {
            return LinuxErrno.ESRCH;
        }

        SyscallResult result = oldLimit != 0 ? Limit(task, resource, oldLimit) : 0;
        return result.Failed || newLimit == 0 ? result : SetLimit(task, resource, newLimit);
    }

    /// <summary>getrandom(2), from the seed.</summary>
    public static SyscallResult Random(LinuxTask task, ulong buffer, ulong count)
    {
        const int most = 1 << 16;
        byte[] bytes = new byte[(int)Math.Min(count, most)];
        task.Kernel.Random.Fill(bytes);
        return task.Memory.TryWrite(buffer, bytes) ? bytes.Length : LinuxErrno.EFAULT;
    }

    /// <summary>sched_yield(2).</summary>
    public static SyscallResult Yield(LinuxTask task)
    {
        task.Kernel.Yield();
        return 0;
    }

    /// <summary>sched_getaffinity(2): one processor.</summary>
    public static SyscallResult Affinity(LinuxTask task, ulong size, ulong mask)
    {
        if (size < sizeof(ulong) || size % sizeof(ulong) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        return task.Memory.TryWrite(mask, 1UL) ? sizeof(ulong) : LinuxErrno.EFAULT;
    }

    /// <summary>getcpu(2).</summary>
    public static SyscallResult Processor(LinuxTask task, ulong cpu, ulong node) =>
        Result((cpu == 0 || task.Memory.TryWrite(cpu, 0)) && (node == 0 || task.Memory.TryWrite(node, 0)));

    /// <summary>set_tid_address(2).</summary>
    public static SyscallResult SetClearAddress(LinuxTask task, ulong address)
    {
        task.ClearAtExit = address;
        return task.Id;
    }

    private static SyscallResult Result(bool written) => written ? 0 : LinuxErrno.EFAULT;
}
