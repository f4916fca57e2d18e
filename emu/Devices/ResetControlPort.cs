namespace Quadwalk.Emulation;

/// <summary>
/// The reset control register at port 0xcf9 of PCI chipsets. It stands among the four ports of the PCI configuration address, which
/// answer only accesses of 32 bits; there being no PCI bus, such accesses find nothing.
/// </summary>
/// <param name="onReset">Called when bit 2 rises, while the instruction executes.</param>
public sealed class ResetControlPort(Action? onReset = null) : IPortDevice
{
    /// <summary>The first of the four ports.</summary>
    public const ushort Port = 0xcf8;

    private const int RegisterAt = 1;
    private const byte ResetProcessor = 4, Writable = 0x0e;

    private byte held;

    /// <inheritdoc/>
    public int PortCount => 4;

    /// <inheritdoc/>
    public int MaximumPortWidth => 4;

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => offset == RegisterAt && width == 1 ? held : uint.MaxValue;

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        if (offset != RegisterAt || width != 1)
        {
            return;
        }

        bool resets = (value & ~held & ResetProcessor) != 0;
        held = (byte)(value & Writable);
        if (resets)
        {
            onReset?.Invoke();
        }
    }
}
