namespace Quadwalk.Emulation;

/// <summary>
/// The interrupt wiring of a PC: IRQ 0 to 15 go to the 8259 pair and to the I/O APIC, there with IRQ 0 at pin 2 and pin 0
/// unused, as the interrupt source override of a PC's MADT says; 16 to 23 go to the I/O APIC alone.
/// </summary>
public sealed class PcInterruptLines(Pic8259 pic, IoApic ioApic) : IInterruptInput
{
    private const int IsaLines = 16, TimerLine = 0, TimerPin = 2;

    /// <inheritdoc/>
    public void SetLine(int line, bool level)
    {
        if ((uint)line < IsaLines)
        {
            pic.SetLine(line, level);
        }

        if (line != TimerPin)
        {
            ioApic.SetLine(line == TimerLine ? TimerPin : line, level);
        }
    }

    /// <summary>A wire to one of the inputs.</summary>
    public InterruptLine this[int line] => new(this, line);
}
