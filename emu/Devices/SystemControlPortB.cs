namespace Quadwalk.Emulation;

/// <summary>Port 0x61: the gate of the timer's counter 2, its output, and the refresh toggle. There is no speaker.</summary>
public sealed class SystemControlPortB(Pit8254 timer, MachineClock clock) : IPortDevice
{
    /// <summary>The usual port.</summary>
    public const ushort Port = 0x61;

    private const byte Gate = 1, Writable = 0x0f, Refresh = 0x10, Output = 0x20;
    private const ulong RefreshTicks = 15_085;

    private byte held;

    /// <inheritdoc/>
    public int PortCount => 1;

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) =>
        (uint)(held | ((clock.Now / RefreshTicks & 1) != 0 ? Refresh : 0) | (timer.SpeakerOutput ? Output : 0));

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        held = (byte)(value & Writable);
        timer.SetSpeakerGate((held & Gate) != 0);
    }
}
