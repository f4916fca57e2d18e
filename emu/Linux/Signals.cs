namespace Quadwalk.Emulation;

/// <summary>Signal numbers of x86-64 Linux.</summary>
internal static class Signal
{
    public const int Count = 64;
    public const int SIGHUP = 1;
    public const int SIGINT = 2;
    public const int SIGQUIT = 3;
    public const int SIGILL = 4;
    public const int SIGTRAP = 5;
    public const int SIGABRT = 6;
    public const int SIGBUS = 7;
    public const int SIGFPE = 8;
    public const int SIGKILL = 9;
    public const int SIGUSR1 = 10;
    public const int SIGSEGV = 11;
    public const int SIGUSR2 = 12;
    public const int SIGPIPE = 13;
    public const int SIGALRM = 14;
    public const int SIGTERM = 15;
    public const int SIGCHLD = 17;
    public const int SIGCONT = 18;
    public const int SIGSTOP = 19;
    public const int SIGTSTP = 20;
    public const int SIGTTIN = 21;
    public const int SIGTTOU = 22;
    public const int SIGURG = 23;
    public const int SIGWINCH = 28;

    /// <summary>The signals that cannot be blocked, ignored or handled.</summary>
    public const ulong Unblockable = 1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1);

    private static readonly string[] Names =
    [
        "", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
        "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
        "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
    ];

    /// <summary>Its bit in a set.</summary>
    public static ulong Bit(int signal) => 1UL << (signal - 1);

    /// <summary>Its name: <c>SIGSEGV</c>.</summary>
    public static string NameOf(int signal) => signal < Names.Length ? Names[signal] : $"signal {signal}";

    /// <summary>What it does where the process has not said anything (signal(7)).</summary>
    public static DefaultAction DefaultOf(int signal) => signal switch
    {
        SIGCHLD or SIGURG or SIGWINCH or SIGCONT => DefaultAction.Ignore,
        SIGSTOP or SIGTSTP or SIGTTIN or SIGTTOU => DefaultAction.Stop,
        _ => DefaultAction.Terminate,
    };

    /// <summary>The signal of an exception (<c>arch/x86/kernel/traps.c</c>), with the code for <c>si_code</c>.</summary>
    public static (int Signal, int Code) Of(ExceptionVector vector) => vector switch
    {
        ExceptionVector.DivideError => (SIGFPE, 1),
        ExceptionVector.Debug or ExceptionVector.Breakpoint => (SIGTRAP, 1),
        ExceptionVector.InvalidOpcode => (SIGILL, 2),
        ExceptionVector.FloatingPoint or ExceptionVector.SimdFloatingPoint => (SIGFPE, 0),
        ExceptionVector.AlignmentCheck => (SIGBUS, 1),
        ExceptionVector.StackFault => (SIGBUS, KernelCode),
        _ => (SIGSEGV, KernelCode),
    };

    /// <summary>SI_KERNEL.</summary>
    public const int KernelCode = 0x80;
}

/// <summary>What a signal does where the process has not said anything.</summary>
internal enum DefaultAction
{
    Terminate,
    Ignore,
    Stop,
}

/// <summary>What a process does on a signal: <c>struct kernel_sigaction</c>.</summary>
/// <param name="Handler">0 for the default, 1 to ignore it, or the handler.</param>
/// <param name="Flags">SA_*.</param>
/// <param name="Restorer">Where the handler returns to.</param>
/// <param name="Mask">What is blocked meanwhile.</param>
internal readonly record struct SignalAction(ulong Handler, ulong Flags, ulong Restorer, ulong Mask)
{
    public const ulong Default = 0, Ignore = 1;
    public const ulong NoChildWait = 2, OnStack = 0x0800_0000, Restart = 0x1000_0000, NoDefer = 0x4000_0000, ResetHand = 0x8000_0000;

    /// <summary>Whether the signal goes nowhere.</summary>
    public bool Ignores(int signal) =>
        Handler == Ignore || (Handler == Default && Signal.DefaultOf(signal) == DefaultAction.Ignore);
}

/// <summary>What <c>siginfo_t</c> tells of a signal.</summary>
/// <param name="Number">The signal.</param>
/// <param name="Code">SI_USER (0), SI_KERNEL or what the signal has of its own.</param>
/// <param name="Value">The address of a fault, or the sender's pid and, above, its uid.</param>
/// <param name="Status">The exit status or signal of a child.</param>
internal readonly record struct SignalInfo(int Number, int Code, ulong Value, int Status = 0);

/// <summary>Signals on their way, at most one of each kind.</summary>
internal sealed class PendingSignals
{
    private readonly SignalInfo[] infos = new SignalInfo[Signal.Count + 1];

    /// <summary>Which there are.</summary>
    public ulong Set { get; private set; }

    /// <summary>Adds one; a second of a kind is lost.</summary>
    public void Add(SignalInfo info)
    {
        if ((Set & Signal.Bit(info.Number)) == 0)
        {
            infos[info.Number] = info;
            Set |= Signal.Bit(info.Number);
        }
    }

    /// <summary>Takes one out.</summary>
    public SignalInfo Take(int signal)
    {
        Set &= ~Signal.Bit(signal);
        return infos[signal];
    }

    /// <summary>Forgets some.</summary>
    public void Remove(ulong set) => Set &= ~set;
}
