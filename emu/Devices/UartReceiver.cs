namespace Quadwalk.Emulation;

/// <summary>The receiving side of a 16550: the FIFO (or the one buffer register), and the host's bytes that wait for room in it.</summary>
internal sealed class UartReceiver
{
    private const int FifoSize = 16;

    private readonly Queue<byte> waiting = new();
    private readonly byte[] fifo = new byte[FifoSize];
    private int first;
    private bool fifoEnabled;
    private bool connected = true;

    public int Count { get; private set; }

    public bool Overrun { get; private set; }

    public int Waiting => waiting.Count;

    private int Capacity => fifoEnabled ? FifoSize : 1;

    public bool FifoEnabled
    {
        get => fifoEnabled;
        set
        {
            fifoEnabled = value;
            Clear();
        }
    }

    /// <summary>Whether the line leads here; in loopback mode it does not, and the host's bytes wait.</summary>
    public bool Connected
    {
        get => connected;
        set
        {
            connected = value;
            Refill();
        }
    }

    /// <summary>
    /// A character arrives on the line. When there is no room the FIFO keeps what it holds, and the single buffer register
    /// takes the new character; either way a character is lost.
    /// </summary>
    public void Arrive(byte value)
    {
        if (Count == Capacity)
        {
            Overrun = true;
            if (!fifoEnabled)
            {
                fifo[first] = value;
            }

            return;
        }

        fifo[(first + Count) % FifoSize] = value;
        Count++;
    }

    /// <summary>The host sends characters, each of which waits until there is room.</summary>
    public void Enqueue(ReadOnlySpan<byte> values)
    {
        foreach (byte value in values)
        {
            waiting.Enqueue(value);
        }

        Refill();
    }

    public byte Take()
    {
        if (Count == 0)
        {
            return 0;
        }

        byte value = fifo[first];
        first = (first + 1) % FifoSize;
        Count--;
        Refill();
        return value;
    }

    public void Clear()
    {
        Count = 0;
        Refill();
    }

    public bool TakeOverrun()
    {
        bool overrun = Overrun;
        Overrun = false;
        return overrun;
    }

    private void Refill()
    {
        while (connected && Count < Capacity && waiting.TryDequeue(out byte value))
        {
            Arrive(value);
        }
    }
}
