namespace Quadwalk.Emulation;

/// <summary>Why a chain of operations came back to the run loop; RIP and the meter are exact in every case.</summary>
internal enum BlockExit
{
    /// <summary>RIP leads to code that no link led to.</summary>
    Branch,

    /// <summary>The instruction at RIP must be looked up: the code changed.</summary>
    Restart,

    /// <summary>The repeated instruction at RIP did some of its iterations and gives way.</summary>
    Repeat,

    /// <summary>The instruction at RIP raised <see cref="Vcpu.PendingFault"/>, or trapped with RIP after it.</summary>
    Fault,

    /// <summary>The instruction at RIP touches a guest-physical address in no memslot.</summary>
    Mmio,

    /// <summary>The instruction at RIP was emulated up to a device that asks for a retry.</summary>
    Retry,

    /// <summary>The instruction at RIP cannot be emulated as things are: see <see cref="EmulationFailure"/>.</summary>
    Refused,

    /// <summary>HLT was executed.</summary>
    Halt,

    /// <summary>The machine shall stop: <see cref="Vcpu.RequestStop"/> was called by a device or by the instruction.</summary>
    Stop,
}
