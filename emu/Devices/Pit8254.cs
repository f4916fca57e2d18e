namespace Quadwalk.Emulation;

/// <summary>The 8254 interval timer of a PC: counter 0 drives IRQ 0, counter 2 is gated and seen through port 0x61.</summary>
/// <remarks>
/// It deviates from the data sheet in that a count is loaded with its last byte rather than at the next input cycle, and that in
/// mode 3 a new count waits for the end of the whole period rather than of its half. In modes 2 and 3 a count of 1, which
/// is illegal, acts as 2.
/// </remarks>
public sealed class Pit8254 : IPortDevice, ITimedDevice
{
    /// <summary>The usual first port.</summary>
    public const ushort Port = 0x40;

    /// <summary>The input frequency in Hz.</summary>
    public const uint Frequency = 1_193_182;

    private const int ControlPort = 3, Counters = 3, SpeakerCounter = 2;

    private readonly MachineClock clock;
    private readonly InterruptLine interrupt;
    private readonly PitChannel[] channels = [new(gate: true), new(gate: true), new(gate: false)];

    /// <summary>Makes a timer whose counters wait for the guest to program them. The caller attaches it to the clock.</summary>
    public Pit8254(MachineClock clock, InterruptLine interrupt)
    {
        ArgumentNullException.ThrowIfNull(clock);
        this.clock = clock;
        this.interrupt = interrupt;
    }

    /// <inheritdoc/>
    public int PortCount => 4;

    /// <summary>The OUT output of counter 2.</summary>
    public bool SpeakerOutput
    {
        get
        {
            Synchronize();
            return channels[SpeakerCounter].Output(Cycle);
        }
    }

    /// <inheritdoc/>
    public ulong? NextDeadline => channels[0].NextRise(Cycle) is { } rise ? MachineClock.FromCycles(rise, Frequency) : null;

    private ulong Cycle => MachineClock.ToCycles(clock.Now, Frequency);

    /// <summary>Sets the GATE input of counter 2.</summary>
    public void SetSpeakerGate(bool level)
    {
        Synchronize();
        channels[SpeakerCounter].SetGate(level, Cycle);
    }

    /// <inheritdoc/>
    public void Advance(ulong now) => Synchronize();

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width)
    {
        Synchronize();
        return offset == ControlPort ? 0xffu : channels[offset].Read(Cycle);
    }

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        Synchronize();
        byte word = (byte)value;
        if (offset != ControlPort)
        {
            channels[offset].Write(word, Cycle);
        }
        else if (word >> 6 == Counters)
        {
            ReadBack(word);
        }
        else if ((word & 0x30) == 0)
        {
            channels[word >> 6].LatchCount(Cycle);
        }
        else
        {
            channels[word >> 6].SetMode(word);
        }

        interrupt.Set(channels[0].Output(Cycle));
    }

    private void ReadBack(byte word)
    {
        for (int i = 0; i < Counters; i++)
        {
            if ((word & 2 << i) == 0)
            {
                continue;
            }

            if ((word & 0x20) == 0)
            {
                channels[i].LatchCount(Cycle);
            }

            if ((word & 0x10) == 0)
            {
                channels[i].LatchStatus(Cycle);
            }
        }
    }

    private void Synchronize()
    {
        ulong cycle = Cycle;
        channels[1].Advance(cycle);
        channels[2].Advance(cycle);
        if (channels[0].Advance(cycle))
        {
            interrupt.Pulse();
            interrupt.Set(channels[0].Output(cycle));
        }
    }
}
