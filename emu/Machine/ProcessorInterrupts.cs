namespace Quadwalk.Emulation;

/// <summary>What interrupts a processor of a PC: its local APIC, and through it the 8259 pair.</summary>
internal sealed class ProcessorInterrupts(LocalApic apic, Pic8259 pic) : IInterruptSource
{
    /// <inheritdoc/>
    public bool HasInterrupt => apic.HasExternalInterrupt || apic.HasPending(out _);

    /// <inheritdoc/>
    public byte Acknowledge()
    {
        if (!apic.HasExternalInterrupt)
        {
            return apic.AcknowledgeInterrupt();
        }

        apic.AcknowledgeExternal();
        return pic.AcknowledgeInterrupt();
    }
}
