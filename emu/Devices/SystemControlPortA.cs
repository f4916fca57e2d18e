namespace Quadwalk.Emulation;

/// <summary>Port 0x92: fast reset and fast A20. A20 is remembered, but address bit 20 is always there.</summary>
/// <param name="onReset">Called when bit 0 rises, while the instruction executes.</param>
public sealed class SystemControlPortA(Action? onReset = null) : IPortDevice
{
    /// <summary>The usual port.</summary>
    public const ushort Port = 0x92;

    private const byte FastReset = 1, A20 = 2;

    private byte held = A20;

    /// <inheritdoc/>
    public int PortCount => 1;

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => held;

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        bool resets = (value & ~held & FastReset) != 0;
        held = (byte)(value & (FastReset | A20));
        if (resets)
        {
            onReset?.Invoke();
        }
    }
}
