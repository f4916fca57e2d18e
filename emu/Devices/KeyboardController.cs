namespace Quadwalk.Emulation;

/// <summary>
/// The 8042 of a PC without keyboard and mouse, ports 0x60 and 0x64: the self-tests, the configuration byte, and the output port
/// with the reset and A20 lines. A20 is remembered, but address bit 20 is always there.
/// </summary>
/// <param name="onReset">Called when the guest asks for a reset, while the instruction executes.</param>
public sealed class KeyboardController(Action? onReset = null) : IPortDevice
{
    /// <summary>The usual data port; the status and command port is 4 behind it.</summary>
    public const ushort DataPort = 0x60;

    /// <summary>The usual status and command port.</summary>
    public const ushort CommandPort = 0x64;

    private const byte OutputFull = 1, SystemFlag = 4, LastWasCommand = 8, NotLocked = 0x10;
    private const byte NotReset = 1, A20 = 2, OutputUnused = 0xcc;

    private byte configuration = SystemFlag;
    private byte outputPort = NotReset | A20 | OutputUnused;
    private byte expected;
    private byte output;
    private byte status = SystemFlag | NotLocked;

    /// <summary>The data port, for <see cref="DataPort"/>.</summary>
    public IPortDevice Data => field ??= new DataDevice(this);

    /// <inheritdoc/>
    public int PortCount => 1;

    /// <summary>Reads the status.</summary>
    public uint ReadPort(int offset, int width) => status;

    /// <summary>Takes a command.</summary>
    public void WritePort(int offset, int width, uint value)
    {
        byte command = (byte)value;
        status |= LastWasCommand;
        expected = 0;
        switch (command)
        {
            case 0x20:
                Answer(configuration);
                break;
            case 0x60 or 0xd1 or 0xd2 or 0xd3 or 0xd4:
                expected = command;
                break;
            case 0xaa:
                status |= SystemFlag;
                Answer(0x55);
                break;
            case 0xa9 or 0xab:
                Answer(0);
                break;
            case 0xd0:
                Answer(outputPort);
                break;
            case 0xdd:
                WriteOutputPort((byte)(outputPort & ~A20));
                break;
            case 0xdf:
                WriteOutputPort((byte)(outputPort | A20));
                break;
            case >= 0xf0 when (command & NotReset) == 0:
                onReset?.Invoke();
                break;
        }
    }

    private uint ReadData()
    {
        status &= unchecked((byte)~OutputFull);
        return output;
    }

    private void WriteData(byte data)
    {
        status &= unchecked((byte)~LastWasCommand);
        switch (expected)
        {
            case 0x60:
                configuration = data;
                break;
            case 0xd1:
                WriteOutputPort(data);
                break;
            case 0xd2 or 0xd3:
                Answer(data);
                break;
        }

        expected = 0;
    }

    private void WriteOutputPort(byte value)
    {
        outputPort = value;
        if ((value & NotReset) == 0)
        {
            onReset?.Invoke();
        }
    }

    private void Answer(byte value)
    {
        output = value;
        status |= OutputFull;
    }

    private sealed class DataDevice(KeyboardController controller) : IPortDevice
    {
        public int PortCount => 1;

        public uint ReadPort(int offset, int width) => controller.ReadData();

        public void WritePort(int offset, int width, uint value) => controller.WriteData((byte)value);
    }
}
