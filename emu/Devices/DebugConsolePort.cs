namespace Quadwalk.Emulation;

/// <summary>The debug console of Bochs and QEMU, at port 0xe9: writing prints a byte, reading gives 0xe9.</summary>
public sealed class DebugConsolePort(ConsoleSink sink) : IPortDevice
{
    /// <summary>The usual port, and the value that tells the guest that the console is there.</summary>
    public const byte Port = 0xe9;

    /// <inheritdoc/>
    public int PortCount => 1;

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => Port;

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value) => sink.Write((byte)value);
}
