namespace Quadwalk.Emulation;

/// <summary>How an instruction that raises an exception on purpose does so.</summary>
internal enum TrapKind : byte
{
    /// <summary>It is a fault: RIP is at the instruction.</summary>
    None,

    /// <summary>INT n and INT3: RIP is after the instruction, and the gate's DPL must allow it.</summary>
    Software,

    /// <summary>INT1: RIP is after the instruction, and any gate will do.</summary>
    Privileged,

    /// <summary>The instruction switched tasks and the exception belongs to the new one: RIP is where that goes on.</summary>
    NewTask,
}

public sealed unsafe partial class Vcpu
{
    /// <summary>Why the machine stopped at an instruction that it cannot run; null where it did not.</summary>
    public string? UnsupportedReason { get; private set; }

    /// <summary>Whether <see cref="PendingFault"/> is a trap, with RIP after the instruction at <see cref="TrappedAt"/>.</summary>
    internal TrapKind PendingTrap { get; set; }

    /// <summary>Whether <see cref="PendingFault"/> came from INT n or INT3: what <see cref="ExceptionDelivery.Deliver"/> wants to know.</summary>
    internal bool PendingIsSoftware => PendingTrap == TrapKind.Software;

    /// <summary>The linear address of the instruction that trapped.</summary>
    internal ulong TrappedAt { get; private set; }

    /// <summary>Whether the current instruction or delivery has switched tasks: a fault it raises belongs to the new task.</summary>
    internal bool TaskSwitched { get; set; }

    /// <summary><see cref="Time"/> before an operation of the running block.</summary>
    internal ulong Now(ref Op op) => Time + (ulong)(SliceLength - state->Remaining) + op.Before;

    /// <summary>Records an interrupt that the current instruction asks for.</summary>
    internal BlockExit Trap(ref Op op, ExceptionVector vector, TrapKind kind)
    {
        Raise(vector, null, FaultRule.Requested);
        PendingTrap = kind;
        TrappedAt = op.Rip;
        return BlockExit.Fault;
    }

    /// <summary>Stops the machine before the current instruction, which needs what this processor does not have; returns false.</summary>
    internal bool StopUnsupported(string reason)
    {
        UnsupportedReason = reason;
        PendingExit = BlockExit.Stop;
        return false;
    }
}
