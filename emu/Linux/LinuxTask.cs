namespace Quadwalk.Emulation;

/// <summary>A system call as it was made: its number and its arguments.</summary>
internal readonly record struct SyscallArguments(LinuxSyscall Number, ulong A0, ulong A1, ulong A2, ulong A3, ulong A4, ulong A5)
{
    private const int R10 = 10, R9 = 9;

    /// <summary>Reads the registers after SYSCALL.</summary>
    public static SyscallArguments From(in CpuState cpu) => new(
        (LinuxSyscall)cpu.Gpr[GeneralRegister.Rax],
        cpu.Gpr[GeneralRegister.Rdi],
        cpu.Gpr[GeneralRegister.Rsi],
        cpu.Gpr[GeneralRegister.Rdx],
        cpu.Gpr[R10],
        cpu.Gpr[GeneralRegister.R8],
        cpu.Gpr[R9]);
}

/// <summary>A thread: registers, signals of its own, and the call it waits in.</summary>
internal sealed class LinuxTask(LinuxProcess process, int id)
{
    private CpuState saved;

    /// <summary>The thread id.</summary>
    public int Id { get; } = id;

    /// <summary>The process it belongs to.</summary>
    public LinuxProcess Process { get; } = process;

    /// <summary>The kernel that runs it.</summary>
    public LinuxKernel Kernel => Process.Kernel;

    /// <summary>The memory of its process.</summary>
    public AddressSpace Memory => Process.Memory;

    /// <summary>The call it is in.</summary>
    public SyscallArguments Call { get; set; }

    /// <summary>Whether it waits in <see cref="Call"/>.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Whether it has come to its end.</summary>
    public bool IsDead { get; set; }

    /// <summary>What the call in progress keeps between its attempts.</summary>
    public WaitState Wait { get; } = new();

    /// <summary>The blocked signals.</summary>
    public ulong Blocked { get; set; }

    /// <summary>The blocked signals to go back to after rt_sigsuspend(2), once a handler has been set up.</summary>
    public ulong? BlockedBefore { get; set; }

    /// <summary>Signals to this thread alone.</summary>
    public PendingSignals Pending { get; } = new();

    /// <summary>sigaltstack(2).</summary>
    public AlternateStack SignalStack { get; set; } = AlternateStack.None;

    /// <summary>The registers of what handlers interrupted.</summary>
    public InterruptedContexts Interrupted { get; } = new();

    /// <summary>Where 0 is written, and a futex woken, at the end (set_tid_address).</summary>
    public ulong ClearAtExit { get; set; }

    /// <summary>Its registers: those of the processor while it runs.</summary>
    public ref CpuState Registers => ref Kernel.Current == this ? ref Kernel.Machine.Cpu.State : ref saved;

    /// <summary>The signals that could be delivered now.</summary>
    public ulong Deliverable => (Pending.Set | Process.Pending.Set) & ~Blocked;

    /// <summary>Puts the registers aside.</summary>
    public void Save(in CpuState cpu) => saved = cpu;
}

/// <summary>What a call that blocks keeps between its attempts.</summary>
internal sealed class WaitState
{
    /// <summary>The time, in nanoseconds, when it gives up; null without one.</summary>
    public ulong? Deadline { get; set; }

    /// <summary>Whether this is not the first attempt.</summary>
    public bool Begun { get; set; }

    /// <summary>The bytes written so far.</summary>
    public ulong Progress { get; set; }

    /// <summary>The futex that it waits for: a private word by its address, a shared one by its place in guest RAM.</summary>
    public (AddressSpace? Memory, ulong Address) Futex { get; set; }

    /// <summary>The bits it waits for, and when it came.</summary>
    public (uint Bits, ulong Order) FutexQueue { get; set; }

    /// <summary>Whether the futex was woken.</summary>
    public bool Woken { get; set; }

    /// <summary>The child of a vfork that has to let go.</summary>
    public LinuxProcess? Child { get; set; }

    /// <summary>Forgets it all.</summary>
    public void Clear()
    {
        Deadline = null;
        Begun = false;
        Progress = 0;
        Futex = default;
        FutexQueue = default;
        Woken = false;
        Child = null;
    }
}
