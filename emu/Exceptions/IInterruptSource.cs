namespace Quadwalk.Emulation;

/// <summary>
/// What drives the processor's INTR line: an interrupt controller. Asked between instructions only, on the thread that runs the processor.
/// </summary>
/// <remarks>
/// Port and MMIO accesses end a run of instructions, so an interrupt that a device raises in one is seen before the next instruction. One
/// raised from elsewhere is seen within some thousand instructions; <see cref="Vcpu.RequestAttention"/> ends a repeated string instruction early.
/// </remarks>
public interface IInterruptSource
{
    /// <summary>Whether an interrupt waits that the task priority lets through. RFLAGS.IF and interrupt shadows are not its matter.</summary>
    bool HasInterrupt { get; }

    /// <summary>
    /// The interrupt is being taken: answers its vector. Called once for each, and only while <see cref="HasInterrupt"/>.
    /// </summary>
    byte Acknowledge();
}
