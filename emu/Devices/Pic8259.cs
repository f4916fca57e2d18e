namespace Quadwalk.Emulation;

/// <summary>
/// The two 8259A interrupt controllers of a PC, the second at input 2 of the first, and the chipset's edge/level control
/// registers. Until the guest has initialized a chip it requests nothing.
/// </summary>
/// <remarks>
/// It deviates from the data sheet in that an edge stays requested when its line falls before it is acknowledged, as most
/// emulators have it, and in that ICW1's LTIM is left to the edge/level control registers, as on every PC since EISA.
/// </remarks>
public sealed class Pic8259 : IInterruptInput
{
    /// <summary>The first port of the first chip.</summary>
    public const ushort MasterPort = 0x20;

    /// <summary>The first port of the second chip.</summary>
    public const ushort SlavePort = 0xa0;

    /// <summary>The first of the two edge/level control ports.</summary>
    public const ushort TriggerPort = 0x4d0;

    private const int Cascade = 2;
    private const byte MasterEdgeOnly = 0x07, SlaveEdgeOnly = 0x21;

    private readonly Pic8259Chip master;
    private readonly Pic8259Chip slave;
    private readonly InterruptLine output;
    private bool level;

    /// <summary>Makes the pair; <paramref name="output"/> is the INT output, usually LINT0 of the bootstrap processor.</summary>
    public Pic8259(InterruptLine output)
    {
        this.output = output;
        master = new Pic8259Chip(this, 1 << Cascade, MasterEdgeOnly);
        slave = new Pic8259Chip(this, 0, SlaveEdgeOnly);
        TriggerPorts = new TriggerDevice(this);
        Reset();
    }

    /// <summary>The ports of the first chip, for <see cref="MasterPort"/>.</summary>
    public IPortDevice MasterPorts => master;

    /// <summary>The ports of the second chip, for <see cref="SlavePort"/>.</summary>
    public IPortDevice SlavePorts => slave;

    /// <summary>The edge/level control ports, for <see cref="TriggerPort"/>.</summary>
    public IPortDevice TriggerPorts { get; }

    /// <summary>The INT output.</summary>
    public bool Output => level;

    /// <summary>The state at power-up. Lines keep their levels.</summary>
    public void Reset()
    {
        master.Reset();
        slave.Reset();
        Update();
    }

    /// <summary>Sets IRQ 0 to 15; IRQ 2 is the second chip's own and cannot be set.</summary>
    public void SetLine(int line, bool level)
    {
        if ((uint)line > 15 || line == Cascade)
        {
            return;
        }

        (line < 8 ? master : slave).SetLine(line & 7, level);
        Update();
    }

    /// <summary>
    /// INTA: gives the vector of the most important request and takes it into service. When there is none any more it is that of
    /// input 7 of the chip that was asked, and nothing is in service there.
    /// </summary>
    public byte AcknowledgeInterrupt()
    {
        if (master.Acknowledge(out byte vector) == Cascade)
        {
            slave.Acknowledge(out vector);
        }

        Update();
        return vector;
    }

    /// <summary>Brings the cascade and the output in line with what the chips hold.</summary>
    internal void Update()
    {
        master.SetLine(Cascade, slave.Output);
        bool now = master.Output;
        if (now != level)
        {
            level = now;
            output.Set(now);
        }
    }

    private sealed class TriggerDevice(Pic8259 pair) : IPortDevice
    {
        public int PortCount => 2;

        public uint ReadPort(int offset, int width) => Chip(offset).Triggers;

        public void WritePort(int offset, int width, uint value) => Chip(offset).Triggers = (byte)value;

        private Pic8259Chip Chip(int offset) => offset == 0 ? pair.master : pair.slave;
    }
}
