namespace Quadwalk.Emulation;

/// <summary>What a local APIC asks of its processor besides maskable interrupts.</summary>
[Flags]
public enum ApicRequests : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Reset as INIT does, and on a processor other than the bootstrap processor wait for a start-up request.</summary>
    Init = 1,

    /// <summary>Leave the wait for a start-up request at <see cref="LocalApic.StartupVector"/>; otherwise nothing.</summary>
    Startup = 2,

    /// <summary>A system management interrupt.</summary>
    Smi = 4,

    /// <summary>A non-maskable interrupt.</summary>
    Nmi = 8,
}
