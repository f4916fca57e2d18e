namespace Quadwalk.Emulation;

/// <summary>What a device says to an access.</summary>
public enum MmioOutcome
{
    /// <summary>It is done.</summary>
    Done,

    /// <summary>
    /// Not yet: the processor waits a tick of its clock and asks again, with interrupts held off as on a bus that stalls. What the instruction
    /// did to devices before is not done again.
    /// </summary>
    Retry,

    /// <summary>It cannot be done: the machine stops with <see cref="StopReason.DeviceFailed"/> before the instruction.</summary>
    Failed,
}
