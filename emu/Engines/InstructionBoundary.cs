namespace Quadwalk.Emulation;

/// <summary>What comes next at the boundary between two instructions.</summary>
internal enum BoundaryOutcome
{
    /// <summary>Instructions, as many as may be.</summary>
    Run,

    /// <summary>One instruction; then the boundary is looked at again.</summary>
    RunOne,

    /// <summary>The delivery of <see cref="Vcpu.PendingFault"/>.</summary>
    Deliver,

    /// <summary>The boundary again: a halted processor's time has moved on.</summary>
    Waited,

    /// <summary>Nothing any more: the processor is halted, and nothing here will wake it.</summary>
    Asleep,
}

/// <summary>
/// The events between two instructions in the order of SDM Vol. 3A, table 7-2: traps of the previous instruction, NMI, interrupts,
/// instruction breakpoints. What follows them in the table is found when the next instruction is fetched, decoded and executed.
/// </summary>
internal sealed unsafe class InstructionBoundary(Vcpu vcpu)
{
    private readonly CpuState* cpu = vcpu.StatePointer;

    /// <summary>Whether there is nothing to look at: <see cref="Attend"/> would do no more than clear RF for the instruction that begins.</summary>
    public bool IsQuiet =>
        (cpu->SystemFlags & Rflags.TF) == 0
        && vcpu.Shadow == InterruptShadow.None
        && !vcpu.Debug.BreaksOnCode
        && vcpu.Debug.Pending == 0
        && !vcpu.IsHalted
        && !vcpu.NeedsAttention
        && !vcpu.IsNmiPending
        && vcpu.Time < vcpu.NextEvent
        && !HasInterrupt;

    private bool HasInterrupt => vcpu.Interrupts is IInterruptSource source && (cpu->SystemFlags & Rflags.IF) != 0 && source.HasInterrupt;

    private ulong LinearRip => vcpu.Is64BitMode ? cpu->Rip : (uint)(cpu->Rip + cpu->Segments[SegmentIndex.Cs].Base);

    private bool HasNmi => vcpu.IsNmiPending && !vcpu.IsNmiBlocked;

    /// <summary>Lets the clock and what it drives go on while an instruction waits for a device: it is no boundary, and takes no event.</summary>
    public void PassTime()
    {
        vcpu.SynchronizeClock();
        vcpu.ScheduleNextEvent();
        CallWhenDue();
    }

    /// <summary>Finds the event that is next, or makes ready for an instruction.</summary>
    public BoundaryOutcome Attend()
    {
        vcpu.ClearAttention();
        vcpu.SynchronizeClock();
        vcpu.TakeRequests();
        vcpu.ClearAttention();
        vcpu.ScheduleNextEvent();
        CallWhenDue();
        if (vcpu.IsWaitingForStartup)
        {
            return BoundaryOutcome.Asleep;
        }

        bool stackShadow = vcpu.Shadow == InterruptShadow.MovSs;
        if (!stackShadow && TryTakeEvent())
        {
            vcpu.IsHalted = false;
            return BoundaryOutcome.Deliver;
        }

        if (vcpu.IsHalted)
        {
            return Sleep();
        }

        bool resumed = (cpu->SystemFlags & Rflags.RF) != 0 || vcpu.IsRepeating;
        if (vcpu.Debug.BreaksOnCode && !stackShadow && !resumed && vcpu.Debug.TryBreak(LinearRip))
        {
            vcpu.Raise(ExceptionVector.Debug, null, FaultRule.InstructionBreakpoint, cpu->Rip);
            return BoundaryOutcome.Deliver;
        }

        return Prepare(stackShadow);
    }

    /// <summary>Whether something can end a halt: an event that waits, or one whose time is known.</summary>
    public bool CanWake() =>
        vcpu.Debug.Pending != 0 || HasNmi || HasInterrupt || ((cpu->SystemFlags & Rflags.IF) != 0 && vcpu.NextEvent != ulong.MaxValue);

    private void CallWhenDue()
    {
        if (vcpu.Time >= vcpu.NextEvent)
        {
            vcpu.NextEvent = ulong.MaxValue;
            vcpu.EventDue?.Invoke(vcpu.Time);
        }
    }

    private bool TryTakeEvent()
    {
        if (vcpu.Debug.Pending != 0)
        {
            vcpu.Debug.RaisePending();
            return true;
        }

        if (HasNmi)
        {
            vcpu.IsNmiPending = false;
            vcpu.IsNmiBlocked = true;
            vcpu.Raise(ExceptionVector.NonMaskableInterrupt, null, FaultRule.NonMaskable);
            return true;
        }

        if (vcpu.Shadow == InterruptShadow.None && HasInterrupt)
        {
            vcpu.Raise((ExceptionVector)vcpu.Interrupts!.Acknowledge(), null, FaultRule.ExternalInterrupt);
            return true;
        }

        return false;
    }

    private BoundaryOutcome Sleep()
    {
        if (!CanWake())
        {
            return BoundaryOutcome.Asleep;
        }

        ulong now = vcpu.Time;
        vcpu.Counters.HaltedTicks += Math.Max(Math.Min(vcpu.NextEvent, vcpu.TurnEnd), now) - now;
        return BoundaryOutcome.Waited;
    }

    private BoundaryOutcome Prepare(bool stackShadow)
    {
        bool stepping = (cpu->SystemFlags & Rflags.TF) != 0;
        bool interruptWaits = HasInterrupt;
        cpu->SystemFlags &= ~Rflags.RF;
        vcpu.Shadow = InterruptShadow.None;
        vcpu.FollowsStackLoad = stackShadow;
        vcpu.Debug.Stepping = stepping;
        return stepping || stackShadow || interruptWaits || vcpu.Debug.BreaksOnCode ? BoundaryOutcome.RunOne : BoundaryOutcome.Run;
    }
}
