namespace Quadwalk.Emulation;

/// <summary>
/// A 16550A serial port (PC16550D data sheet) with byte registers at stride 1, on the MMIO bus or the port bus.
/// </summary>
/// <remarks>
/// It deviates where time or a real line would matter: characters are sent and received at once and with all eight bits,
/// whatever the divisor and the word length say; the receiver's time-out has passed as soon as the FIFO holds a character; there are
/// no parity, framing or break errors; the far end always holds CTS, DSR and DCD.
/// </remarks>
public sealed class Uart16550(ConsoleSink sink) : IMmioDevice, IPortDevice
{
    private const byte Dlab = 0x80;
    private const byte Loopback = 0x10;
    private const byte FarEndLines = 0xb0;

    private readonly UartReceiver receiver = new();
    private byte interruptEnable;
    private byte lineControl;
    private byte modemControl;
    private byte modemDeltas;
    private byte scratch;
    private byte divisorLow = 12;
    private byte divisorHigh;
    private int trigger = 1;
    private bool transmitterInterrupt;
    private bool interruptLine;

    /// <inheritdoc/>
    public ulong Size => 8;

    /// <inheritdoc/>
    public int MaximumAccessWidth => 1;

    /// <inheritdoc/>
    public int PortCount => 8;

    /// <summary>Called with the new level when the INTR output changes; the PC's gate through OUT2 is the board's business.</summary>
    public Action<bool>? InterruptChanged { get; set; }

    /// <summary>
    /// Called, while the instruction executes, when the guest looks for a character and there is none: the callee may give some to
    /// <see cref="EnqueueInput"/>, and the guest sees the first at once.
    /// </summary>
    public Action? InputWanted { get; set; }

    /// <summary>The level of the INTR output.</summary>
    public bool InterruptPending => PendingInterrupt() != 1;

    /// <summary>How many bytes given to <see cref="EnqueueInput"/> wait for room in the receiver.</summary>
    public int WaitingInput => receiver.Waiting;

    /// <summary>The divisor of the 115200 baud clock, as last programmed.</summary>
    public ushort Divisor => (ushort)((divisorHigh << 8) | divisorLow);

    private byte ModemLines => (modemControl & Loopback) == 0
        ? FarEndLines
        : (byte)(((modemControl & 1) << 5) | ((modemControl & 2) << 3) | ((modemControl & 0xc) << 4));

    /// <summary>Sends the guest <paramref name="values"/>, each as soon as the guest has made room and is not in loopback mode.</summary>
    public void EnqueueInput(ReadOnlySpan<byte> values)
    {
        receiver.Enqueue(values);
        UpdateInterrupt();
    }

    /// <summary>Puts a character on the line now; without room in the receiver it causes an overrun. Lost in loopback mode.</summary>
    public void ReceiveNow(byte value)
    {
        if (receiver.Connected)
        {
            receiver.Arrive(value);
            UpdateInterrupt();
        }
    }

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> destination)
    {
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = ReadRegister((int)offset + i);
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        for (int i = 0; i < source.Length; i++)
        {
            WriteRegister((int)offset + i, source[i]);
        }
    }

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => ReadRegister(offset);

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value) => WriteRegister(offset, (byte)value);

    private byte ReadRegister(int register)
    {
        bool divisor = (lineControl & Dlab) != 0;
        bool looks = (register & 7) == UartRegister.Lsr || ((register & 7) == UartRegister.RbrThr && !divisor);
        if (looks && receiver.Count == 0 && receiver.Connected)
        {
            InputWanted?.Invoke();
        }

        byte value = (register & 7) switch
        {
            UartRegister.RbrThr => divisor ? divisorLow : receiver.Take(),
            UartRegister.Ier => divisor ? divisorHigh : interruptEnable,
            UartRegister.IirFcr => ReadInterruptIdentification(),
            UartRegister.Lcr => lineControl,
            UartRegister.Mcr => modemControl,
            UartRegister.Lsr => ReadLineStatus(),
            UartRegister.Msr => ReadModemStatus(),
            _ => scratch,
        };
        UpdateInterrupt();
        return value;
    }

    private void WriteRegister(int register, byte value)
    {
        bool divisor = (lineControl & Dlab) != 0;
        switch (register & 7)
        {
            case UartRegister.RbrThr when divisor:
                divisorLow = value;
                break;
            case UartRegister.RbrThr:
                Transmit(value);
                break;
            case UartRegister.Ier when divisor:
                divisorHigh = value;
                break;
            case UartRegister.Ier:
                transmitterInterrupt |= (value & ~interruptEnable & 2) != 0;
                interruptEnable = (byte)(value & 0x0f);
                break;
            case UartRegister.IirFcr:
                WriteFifoControl(value);
                break;
            case UartRegister.Lcr:
                lineControl = value;
                break;
            case UartRegister.Mcr:
                WriteModemControl(value);
                break;
            case UartRegister.Scr:
                scratch = value;
                break;
        }

        UpdateInterrupt();
    }

    private void Transmit(byte value)
    {
        if ((modemControl & Loopback) != 0)
        {
            receiver.Arrive(value);
        }
        else
        {
            sink.Write(value);
        }

        transmitterInterrupt = true;
    }

    private void WriteFifoControl(byte value)
    {
        bool enable = (value & 1) != 0;
        if (enable != receiver.FifoEnabled)
        {
            receiver.FifoEnabled = enable;
            trigger = 1;
        }

        if (enable)
        {
            trigger = (value >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };
            if ((value & 2) != 0)
            {
                receiver.Clear();
            }
        }
    }

    private void WriteModemControl(byte value)
    {
        byte before = ModemLines;
        modemControl = (byte)(value & 0x1f);
        receiver.Connected = (value & Loopback) == 0;
        int changed = before ^ ModemLines;
        const int ring = 0x40;
        int deltas = (changed & ~ring) | (changed & before & ring);
        modemDeltas |= (byte)(deltas >> 4);
    }

    private byte ReadLineStatus() =>
        (byte)(0x60 | (receiver.Count != 0 ? 1 : 0) | (receiver.TakeOverrun() ? 2 : 0));

    private byte ReadModemStatus()
    {
        byte status = (byte)(ModemLines | modemDeltas);
        modemDeltas = 0;
        return status;
    }

    private byte ReadInterruptIdentification()
    {
        byte pending = PendingInterrupt();
        if (pending == 2)
        {
            transmitterInterrupt = false;
        }

        return (byte)(pending | (receiver.FifoEnabled ? 0xc0 : 0));
    }

    // PC16550D data sheet, table IV: the low four bits of IIR, highest priority first.
    private byte PendingInterrupt()
    {
        if ((interruptEnable & 4) != 0 && receiver.Overrun)
        {
            return 0x06;
        }

        if ((interruptEnable & 1) != 0 && receiver.Count != 0)
        {
            return receiver.Count >= trigger ? (byte)0x04 : (byte)0x0c;
        }

        if ((interruptEnable & 2) != 0 && transmitterInterrupt)
        {
            return 0x02;
        }

        return (interruptEnable & 8) != 0 && modemDeltas != 0 ? (byte)0x00 : (byte)0x01;
    }

    private void UpdateInterrupt()
    {
        bool level = InterruptPending;
        if (level != interruptLine)
        {
            interruptLine = level;
            InterruptChanged?.Invoke(level);
        }
    }
}
