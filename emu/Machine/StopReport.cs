namespace Quadwalk.Emulation;

/// <summary>Why a machine stopped.</summary>
public enum StopReason
{
    /// <summary>The guest wrote to the exit port.</summary>
    Exit,

    /// <summary>The guest asked for a reset of the machine, which ends the run.</summary>
    Reset,

    /// <summary>HLT with interrupts off: the guest is done.</summary>
    Halted,

    /// <summary>HLT with interrupts on, and no source of interrupts in the machine: nothing can wake it.</summary>
    Asleep,

    /// <summary>The instructions asked for have been retired; the run can go on.</summary>
    Limit,

    /// <summary><see cref="Machine.RequestStop"/>; the run can go on.</summary>
    Requested,

    /// <summary>An exception while a double fault was being delivered.</summary>
    TripleFault,

    /// <summary>
    /// An instruction at CPL 0 that touches a device could not be fetched by the hypervisor: KVM's internal error EMULATION. A further run
    /// gives the guest #UD, unless <see cref="Vcpu.DropQueuedFault"/> is called.
    /// </summary>
    EmulationFailed,

    /// <summary>
    /// The hypervisor could not reach an operand in a memslot, and <see cref="MmioBus.UnreachableMemory"/> is null. The instruction has not
    /// happened; a further run tries it again.
    /// </summary>
    MemoryUnreachable,

    /// <summary>A device said <see cref="MmioOutcome.Failed"/>. The instruction has not happened; a further run tries it again.</summary>
    DeviceFailed,

    /// <summary>The guest did what this version cannot do.</summary>
    Unsupported,
}

/// <summary>How a run ended.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Status">The guest's exit status: 0 after HLT, odd after the exit port; null where the guest did not end itself.</param>
/// <param name="Message">What a person should know, one or more lines; null where the reason says all.</param>
/// <param name="Emulation">The instruction that could not be emulated, where that is the reason.</param>
public sealed record StopReport(StopReason Reason, uint? Status = null, string? Message = null, EmulationFailure? Emulation = null);
