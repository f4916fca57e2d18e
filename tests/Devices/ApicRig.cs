using System.Buffers.Binary;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Some local APICs, software enabled unless told otherwise, and an I/O APIC on one bus.</summary>
internal sealed class ApicRig
{
    public const int Id = 0x20, Version = 0x30, Tpr = 0x80, Apr = 0x90, Ppr = 0xa0, Eoi = 0xb0, Ldr = 0xd0, Dfr = 0xe0, Svr = 0xf0, Isr = 0x100, Tmr = 0x180,
        Irr = 0x200, Esr = 0x280, IcrLow = 0x300, IcrHigh = 0x310, LvtTimer = 0x320, LvtThermal = 0x330, LvtPerformance = 0x340, Lint0 = 0x350, Lint1 = 0x360,
        LvtError = 0x370, InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3e0;

    public const ulong Enabled = 1 << 11, X2 = 3 << 10;

    public ApicRig(int processors = 1, bool softwareEnabled = true)
    {
        for (int i = 0; i < processors; i++)
        {
            var apic = new LocalApic(i, Bus, Clock, 40);
            Clock.Attach(apic);
            if (softwareEnabled)
            {
                Write(i, Svr, 0x1ff);
            }
        }

        IoApic = new IoApic(Bus);
    }

    public MachineClock Clock { get; } = new();

    public ApicBus Bus { get; } = new();

    public IoApic IoApic { get; }

    public LocalApic this[int processor] => Bus.LocalApics[processor];

    public uint Read(int register) => Read(0, register);

    public uint Read(int processor, int register)
    {
        byte[] bytes = new byte[4];
        this[processor].Read((ulong)register, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public void Write(int register, uint value) => Write(0, register, value);

    public void Write(int processor, int register, uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        this[processor].Write((ulong)register, bytes);
    }

    /// <summary>Puts a processor's APIC into x2APIC mode.</summary>
    public void EnterX2(int processor) => this[processor].TryWriteMsr(LocalApic.ApicBaseMsr, this[processor].ApicBase | X2);

    /// <summary>RDMSR; null is #GP.</summary>
    public ulong? Rdmsr(uint number, int processor = 0) => this[processor].TryReadMsr(number, out ulong value) ? value : null;

    public bool Wrmsr(uint number, ulong value, int processor = 0) => this[processor].TryWriteMsr(number, value);

    public void Fixed(byte vector, int processor = 0, bool isLevel = false) =>
        Bus.Send(new InterruptMessage((uint)processor, DeliveryMode.Fixed, vector, IsLevel: isLevel));

    /// <summary>The vectors in one of IRR, ISR and TMR.</summary>
    public int[] Vectors(int processor, int register) =>
        [.. Enumerable.Range(0, 256).Where(vector => (Read(processor, register + vector / 32 * 16) >> (vector % 32) & 1) != 0)];

    /// <summary>What can be delivered, or null.</summary>
    public byte? Pending(int processor = 0) => this[processor].HasPending(out byte vector) ? vector : null;

    public void WriteIo(byte register, uint value)
    {
        IoApic.Write(0, [register]);
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        IoApic.Write(0x10, bytes);
    }

    public uint ReadIo(byte register)
    {
        IoApic.Write(0, [register]);
        byte[] bytes = new byte[4];
        IoApic.Read(0x10, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public void Redirect(int input, uint low, byte destination = 0)
    {
        WriteIo((byte)(0x11 + input * 2), (uint)destination << 24);
        WriteIo((byte)(0x10 + input * 2), low);
    }
}
