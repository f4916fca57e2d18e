namespace Quadwalk.Emulation;

public sealed unsafe partial class Vcpu
{
    private const ulong NoRip = 1UL << 63;

    private volatile bool nmiRequested;
    private volatile bool attention;
    private ulong repeatingAt = NoRip;

    /// <summary>The interrupt controller; null where nothing interrupts.</summary>
    public IInterruptSource? Interrupts { get; set; }

    /// <summary>
    /// The <see cref="Time"/> at which <see cref="EventDue"/> is called, before the first instruction that would begin at it or later.
    /// <see cref="ulong.MaxValue"/> is never. A halted processor's time leaps there.
    /// </summary>
    public ulong NextEvent { get; set; } = ulong.MaxValue;

    /// <summary>Called with the time once <see cref="NextEvent"/> is reached, which is never again unless this sets it anew.</summary>
    public Action<ulong>? EventDue { get; set; }

    /// <summary>The processor's clock: instructions retired, and the ticks it was halted. Exact between instructions.</summary>
    public ulong Time => Counters.Instructions + Counters.HaltedTicks;

    /// <summary>Whether the processor waits, after HLT, for an interrupt.</summary>
    public bool IsHalted { get; set; }

    /// <summary>Whether an NMI is being handled, until IRET: a further one waits.</summary>
    public bool IsNmiBlocked { get; set; }

    /// <summary>
    /// Whether <see cref="PendingFault"/> waits to be delivered before the next instruction: the #UD of one that could not be fetched for emulation
    /// at CPL 0, for which the machine stopped with <see cref="StopReason.EmulationFailed"/>.
    /// </summary>
    public bool HasQueuedFault { get; private set; }

    /// <summary>What kept the last instruction that exited from being emulated; null: nothing did.</summary>
    public EmulationFailure? EmulationFailure => Hypervisor.Failure;

    /// <summary>Forgets the fault that waits: the instruction is tried again instead. For who has brought its bytes within reach.</summary>
    public void DropQueuedFault() => HasQueuedFault = false;

    internal void QueueFault() => HasQueuedFault = true;

    /// <summary>The debug registers at work.</summary>
    internal DebugUnit Debug { get; }

    /// <summary>What the last instruction keeps away from the next boundary.</summary>
    internal InterruptShadow Shadow { get; set; }

    /// <summary>Whether the instruction that runs stands in the shadow of a load of SS, and casts none itself.</summary>
    internal bool FollowsStackLoad { get; set; }

    /// <summary>Whether an NMI waits.</summary>
    internal bool IsNmiPending
    {
        get => nmiRequested;
        set => nmiRequested = value;
    }

    /// <summary>Whether a repeated instruction at RIP has done some of its iterations.</summary>
    internal bool IsRepeating => repeatingAt == state->Rip;

    /// <summary>Whether <see cref="RequestAttention"/> was called since the last boundary.</summary>
    internal bool NeedsAttention => attention;

    /// <summary>Sends a non-maskable interrupt; several before one is taken are one. Safe from any thread.</summary>
    public void RaiseNmi()
    {
        nmiRequested = true;
        attention = true;
    }

    /// <summary>Makes the processor look at <see cref="Interrupts"/> soon, even within a repeated string instruction. Safe from any thread.</summary>
    public void RequestAttention() => attention = true;

    internal void ClearAttention() => attention = false;

    /// <summary>MOV or POP loaded SS. Of several in a row only the first casts a shadow; its own single-step trap is lost.</summary>
    internal void StackSegmentLoaded()
    {
        Debug.Stepping = false;
        Shadow = FollowsStackLoad ? Shadow : InterruptShadow.MovSs;
    }

    /// <summary>Notes how the instruction at RIP left off: in the middle of its iterations or not.</summary>
    internal void NoteRepeating(bool repeating) => repeatingAt = repeating ? state->Rip : NoRip;
}
