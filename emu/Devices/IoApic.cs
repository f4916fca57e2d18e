using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>
/// An I/O APIC with 24 inputs (82093AA data sheet), version 0x20 with an EOI register, usually at 0xfec00000. Its registers are
/// behind the selector at offset 0 and the window at 0x10.
/// </summary>
/// <remarks>
/// A line is asserted or not, whatever the polarity says. An edge at a masked input is lost. Only fixed and lowest-priority
/// interrupts are ever level triggered. A message has arrived when it is sent, so the delivery status is always idle.
/// </remarks>
public sealed class IoApic : IMmioDevice, IInterruptInput
{
    /// <summary>The usual guest-physical address.</summary>
    public const ulong UsualAddress = 0xfec0_0000;

    /// <summary>The number of inputs.</summary>
    public const int Inputs = 24;

    private const int SelectorAt = 0, WindowAt = 0x10, EoiAt = 0x40;
    private const uint VersionValue = (Inputs - 1) << 16 | 0x20;
    private const uint IdMask = 0x0f00_0000;
    private const int FirstEntry = 0x10;

    private const ulong Logical = 1 << 11, RemoteIrr = 1 << 14, LevelTriggered = 1 << 15, Masked = 1 << 16;
    private const ulong WritableLow = 0x1_afff, Writable = 0xff00_0000_0000_0000 | WritableLow;

    private readonly ApicBus bus;
    private readonly ulong[] entries = new ulong[Inputs];
    private uint asserted;
    private uint id;
    private byte selector;

    /// <summary>Makes an I/O APIC with all inputs masked, on <paramref name="bus"/>.</summary>
    public IoApic(ApicBus bus)
    {
        ArgumentNullException.ThrowIfNull(bus);
        this.bus = bus;
        bus.Attach(this);
        Reset();
    }

    /// <inheritdoc/>
    public ulong Size => 4096;

    /// <inheritdoc/>
    public int MaximumAccessWidth => 4;

    /// <summary>Masks all inputs, as at power-up. Lines keep their levels.</summary>
    public void Reset()
    {
        entries.AsSpan().Fill(Masked);
        id = 0;
        selector = 0;
    }

    /// <summary>The redirection table entry of an input.</summary>
    public ulong Entry(int input) => entries[input];

    /// <inheritdoc/>
    public void SetLine(int line, bool level)
    {
        if ((uint)line >= Inputs)
        {
            return;
        }

        uint bit = 1u << line;
        bool rises = level && (asserted & bit) == 0;
        asserted = level ? asserted | bit : asserted & ~bit;
        if (rises)
        {
            Service(line, isEdge: true);
        }
    }

    /// <summary>Reads a register's bytes; a narrower access sees the lower ones. Between registers there are zeros.</summary>
    public void Read(ulong offset, Span<byte> destination)
    {
        uint value = offset switch
        {
            SelectorAt => selector,
            WindowAt => ReadSelected(),
            _ => 0,
        };
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        bytes[..destination.Length].CopyTo(destination);
    }

    /// <summary>Writes a register; a narrower access is extended with zeros.</summary>
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        Span<byte> bytes = stackalloc byte[4];
        bytes.Clear();
        source.CopyTo(bytes);
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        switch (offset)
        {
            case SelectorAt:
                selector = (byte)value;
                break;
            case WindowAt:
                WriteSelected(value);
                break;
            case EoiAt:
                EndOfInterrupt((byte)value);
                break;
        }
    }

    /// <summary>A level-triggered interrupt has been served: its inputs may interrupt again, and do if still asserted.</summary>
    internal void EndOfInterrupt(byte vector)
    {
        for (int input = 0; input < Inputs; input++)
        {
            ref ulong entry = ref entries[input];
            if ((entry & (LevelTriggered | RemoteIrr)) == (LevelTriggered | RemoteIrr) && (byte)entry == vector)
            {
                entry &= ~RemoteIrr;
                Service(input, isEdge: false);
            }
        }
    }

    private uint ReadSelected()
    {
        switch (selector)
        {
            case 0 or 2:
                return id;
            case 1:
                return VersionValue;
            default:
                int half = selector - FirstEntry;
                return (uint)half < Inputs * 2 ? (uint)(entries[half >> 1] >> ((half & 1) * 32)) : 0;
        }
    }

    private void WriteSelected(uint value)
    {
        int half = selector - FirstEntry;
        if (selector == 0)
        {
            id = value & IdMask;
        }
        else if ((uint)half < Inputs * 2)
        {
            WriteEntry(half >> 1, (half & 1) * 32, value);
        }
    }

    private void WriteEntry(int input, int shift, uint value)
    {
        ref ulong entry = ref entries[input];
        ulong changed = ((ulong)value << shift) & Writable;
        ulong kept = entry & ~(Writable & ((ulong)uint.MaxValue << shift));
        entry = kept | changed;
        if ((entry & LevelTriggered) == 0)
        {
            entry &= ~RemoteIrr;
        }

        Service(input, isEdge: false);
    }

    /// <summary>Sends the message of an asserted input: at its edge, or while it is level triggered and not being served.</summary>
    private void Service(int input, bool isEdge)
    {
        ref ulong entry = ref entries[input];
        var mode = (DeliveryMode)((entry >> 8) & 7);
        bool isLevel = mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority && (entry & LevelTriggered) != 0;
        bool due = isLevel ? (entry & RemoteIrr) == 0 : isEdge;
        if (!due || mode == DeliveryMode.Startup || (entry & Masked) != 0 || (asserted & 1u << input) == 0)
        {
            return;
        }

        var message = new InterruptMessage((uint)(entry >> 56), mode, (byte)entry, (entry & Logical) != 0, isLevel);
        if (bus.Send(message) && isLevel)
        {
            entry |= RemoteIrr;
        }
    }
}
