namespace Quadwalk.Emulation;

/// <summary>The ACPI power-management timer (ACPI 6.5, 4.8.3.3), a counter of 24 or 32 bits at 3.579545 MHz. It has no interrupt.</summary>
/// <param name="clock">The time it counts; it is 0 at the clock's start.</param>
/// <param name="is32Bit">Whether it has 32 bits, as the FADT's TMR_VAL_EXT says.</param>
public sealed class AcpiPmTimer(MachineClock clock, bool is32Bit = false) : IPortDevice
{
    /// <summary>The usual port.</summary>
    public const ushort Port = 0x608;

    /// <summary>The frequency in Hz.</summary>
    public const uint Frequency = 3_579_545;

    /// <inheritdoc/>
    public int PortCount => 4;

    /// <inheritdoc/>
    public int MaximumPortWidth => 4;

    /// <summary>The counter.</summary>
    public uint Value => (uint)MachineClock.ToCycles(clock.Now, Frequency) & (is32Bit ? uint.MaxValue : 0xff_ffff);

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => Value >> (8 * offset);

    /// <summary>Ignored: the counter is read only.</summary>
    public void WritePort(int offset, int width, uint value)
    {
    }
}
