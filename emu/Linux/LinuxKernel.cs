using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The Linux personality: processes, their system calls and their faults. One processor runs them in turn, in the same order every time;
/// time is retired instructions, a nanosecond each, and passes at once where every process sleeps.
/// </summary>
internal sealed partial class LinuxKernel
{
    /// <summary>The most processes and threads.</summary>
    public const int MostTasks = 256;

    /// <summary>The id of the first process; it has no parent that could be waited for.</summary>
    public const int FirstId = 100;

    /// <summary>CLOCK_REALTIME at the start, in seconds: 2000-01-01.</summary>
    public const long Epoch = 946_684_800;

    private const ulong Slice = 200_000;
    private const ulong SyscallLength = 2;

    private readonly List<LinuxTask> tasks = [];
    private readonly LinuxProcess first;
    private ulong skipped;
    private ulong sliceEnd;
    private ulong lastOrder;
    private int nextId = FirstId;
    private int nextIndex;
    private string? death;

    /// <summary>Loads the first program.</summary>
    /// <exception cref="ImageFormatException">It cannot be run.</exception>
    public LinuxKernel(Machine machine, LinuxOptions options)
    {
        Machine = machine;
        Options = options;
        Frames = new LinuxFrames(machine.Options.RamBytes);
        Gate = new KernelGate(machine, Frames);
        Paths = new HostPaths(options.Program, options.Allowed);
        Random = new SeededBytes(options.Seed);
        Programs = new ProgramStore(this);
        LoadedProgram program = Programs.LoadFirst();
        first = new LinuxProcess(this, nextId, null)
        {
            Memory = program.Memory,
            Files = StandardFiles(options),
            FileSystem = new FileSystemState { Folder = options.WorkingDirectory },
            Actions = new SignalAction[Signal.Count + 1],
            Executable = program.Path,
            Name = program.Name,
        };
        Current = Add(first);
        Gate.Start(program.Memory, program.Entry, program.StackPointer);
    }

    /// <summary>The machine.</summary>
    public Machine Machine { get; }

    /// <summary>What the first process started with.</summary>
    public LinuxOptions Options { get; }

    /// <summary>Guest RAM.</summary>
    public LinuxFrames Frames { get; }

    /// <summary>The way into the kernel and out.</summary>
    public KernelGate Gate { get; }

    /// <summary>The names of files.</summary>
    public HostPaths Paths { get; }

    /// <summary>What getrandom(2) gives.</summary>
    public SeededBytes Random { get; }

    /// <summary>What execve(2) loads.</summary>
    public ProgramStore Programs { get; }

    /// <summary>The task whose registers the processor has.</summary>
    public LinuxTask? Current { get; private set; }

    /// <summary>Open files of the host, and pipes.</summary>
    public ResourceCounts Resources { get; } = new();

    /// <summary>How often calls were made that are not there, by number.</summary>
    public SortedDictionary<ulong, ulong> Unknown { get; } = [];

    /// <summary>Nanoseconds since the start.</summary>
    public ulong Now => Machine.Cpu.Counters.Instructions + skipped;

    /// <summary>Every task that lives.</summary>
    public IReadOnlyList<LinuxTask> Tasks => tasks;

    /// <summary>Runs until the first process ends, or for <paramref name="limit"/> instructions.</summary>
    public LinuxReport Run(ulong limit)
    {
        CpuCounters counters = Machine.Cpu.Counters;
        ulong end = counters.Instructions + limit < limit ? ulong.MaxValue : counters.Instructions + limit;
        while (first.WaitStatus is null)
        {
            if ((Current is null or { IsBlocked: true } || counters.Instructions >= sliceEnd || Current.Process.Stopped) && !TrySwitch())
            {
                return Options.Interrupt.IsCancellationRequested
                    ? new LinuxReport(LinuxEnd.Requested)
                    : new LinuxReport(LinuxEnd.Deadlock, Message: "every process waits, and nothing can wake one");
            }

            if (!Deliver(Current!))
            {
                continue;
            }

            if (counters.Instructions >= end)
            {
                return new LinuxReport(LinuxEnd.Limit);
            }

            ulong before = counters.Instructions;
            LinuxProcess running = Current!.Process;
            StopReport report = Machine.Run(Math.Min(end, sliceEnd) - before);
            running.Instructions += counters.Instructions - before;
            switch (report.Reason)
            {
                case StopReason.Halted:
                    Serve(Current);
                    break;
                case StopReason.Limit:
                    break;
                case StopReason.Requested:
                    return new LinuxReport(LinuxEnd.Requested);
                default:
                    return new LinuxReport(LinuxEnd.Unsupported, Message: report.Message ?? report.Reason.ToString());
            }
        }

        int status = first.WaitStatus.Value;
        return (status & 0x7f) == 0
            ? new LinuxReport(LinuxEnd.Exited, status >> 8)
            : new LinuxReport(LinuxEnd.Killed, 128 + (status & 0x7f), death ?? $"killed by {Signal.NameOf(status & 0x7f)}");
    }

    /// <summary>An id that no task has.</summary>
    public int TakeId() => nextId++;

    /// <summary>A number higher than every one before.</summary>
    public ulong TakeOrder() => ++lastOrder;

    /// <summary>Makes a thread of a process.</summary>
    public LinuxTask Add(LinuxProcess process)
    {
        LinuxTask task = new(process, process.Threads.Count == 0 ? process.Id : TakeId());
        nextId = Math.Max(nextId, process.Id + 1);
        process.Threads.Add(task);
        tasks.Add(task);
        return task;
    }

    /// <summary>Ends the turn of the running task: sched_yield(2).</summary>
    public void Yield() => sliceEnd = 0;

    private static FileTable StandardFiles(LinuxOptions options)
    {
        FileTable files = new();
        files.Add(new ConsoleReader(options.Input, options.Interrupt));
        files.Add(new ConsoleWriter(options.Output));
        files.Add(new ConsoleWriter(options.Error));
        return files;
    }

    /// <summary>Gives the processor to the next task that can go on, letting time pass where all sleep; false where none ever will.</summary>
    private bool TrySwitch()
    {
        while (true)
        {
            if (Pick() is { } next)
            {
                sliceEnd = Machine.Cpu.Counters.Instructions + Slice;
                if (next != Current)
                {
                    Current?.Save(Machine.Cpu.State);
                    CpuState registers = next.Registers;
                    Current = next;
                    Gate.Load(next.Memory, registers);
                }

                return true;
            }

            ulong? wake = null;
            foreach (LinuxTask task in tasks)
            {
                wake = task.IsBlocked && !task.Process.Stopped && (wake is null || task.Wait.Deadline < wake) ? task.Wait.Deadline ?? wake : wake;
            }

            if (wake is null || Options.Interrupt.IsCancellationRequested || first.WaitStatus is not null)
            {
                return false;
            }

            skipped += wake > Now ? wake.Value - Now : 0;
        }
    }

    private LinuxTask? Pick()
    {
        int start = Current is null ? nextIndex : tasks.IndexOf(Current) + 1;
        for (int i = 0; i < tasks.Count; i++)
        {
            int index = (start + i) % tasks.Count;
            LinuxTask task = tasks[index];
            if (task.Process.Stopped && (task.Deliverable & Signal.Bit(Signal.SIGKILL)) == 0)
            {
                continue;
            }

            task.Process.Stopped = false;
            if (task.IsBlocked)
            {
                Retry(task);
            }

            if (task is { IsBlocked: false, IsDead: false })
            {
                return task;
            }
        }

        return null;
    }

    private void Retry(LinuxTask task)
    {
        if (task.Deliverable != 0)
        {
            Interrupt(task);
        }
        else
        {
            Dispatch(task);
        }
    }

    private void Serve(LinuxTask task)
    {
        if (Gate.Enter() is { } fault)
        {
            Fault(task, fault);
            return;
        }

        task.Call = SyscallArguments.From(task.Registers);
        Dispatch(task);
    }

    private void Dispatch(LinuxTask task)
    {
        SyscallResult result = LinuxCalls.Invoke(task);
        task.IsBlocked = result.End == SyscallEnd.Block;
        task.Wait.Begun = task.IsBlocked;
        if (!task.IsBlocked)
        {
            task.Wait.Clear();
        }

        if (task.IsDead)
        {
            return;
        }

        if (result.End == SyscallEnd.Return)
        {
            task.Registers.Gpr[GeneralRegister.Rax] = (ulong)result.Value;
        }

        if (task.Memory.Exhausted)
        {
            KillForMemory(task);
        }
    }

    private void Fault(LinuxTask task, in GuestFault fault)
    {
        (int signal, int code) = Signal.Of(fault.Vector);
        ulong address = task.Registers.Rip;
        if (fault.Vector == ExceptionVector.PageFault)
        {
            PageFaultCode error = (PageFaultCode)fault.ErrorCode.GetValueOrDefault();
            AccessKind kind = (error & PageFaultCode.Write) != 0 ? AccessKind.Write
                : (error & PageFaultCode.InstructionFetch) != 0 ? AccessKind.Execute
                : AccessKind.Read;
            address = fault.Address.Value;
            switch (task.Memory.Resolve(address, kind, out _))
            {
                case AccessEnd.Present:
                    return;
                case AccessEnd.NoMemory:
                    KillForMemory(task);
                    return;
                case AccessEnd.NoContents:
                    (signal, code) = (Signal.SIGBUS, 2);
                    break;
                case AccessEnd.NotMapped:
                    code = 1;
                    break;
                default:
                    code = 2;
                    break;
            }
        }

        SignalInfo info = new(signal, code, code == Signal.KernelCode ? 0 : address);
        if (task.Process.Actions[signal].Handler > SignalAction.Ignore && (task.Blocked & Signal.Bit(signal)) == 0)
        {
            task.Pending.Add(info);
            return;
        }

        Kill(task.Process, signal, $"{Signal.NameOf(signal)} at RIP 0x{task.Registers.Rip:x}: {fault}");
    }

    private void KillForMemory(LinuxTask task) => Kill(
        task.Process, Signal.SIGKILL, $"SIGKILL: guest RAM ran out, {Machine.Options.RamBytes >> 20} MiB with -m");
}
