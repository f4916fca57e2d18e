using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>
/// QEMU's <c>pc-testdev</c>, by which test images exercise the machine: ports that echo, ports that set interrupt lines, a port
/// that flushes a page of the host's mapping, and memory that is a device.
/// </summary>
public sealed class PcTestDevice
{
    /// <summary>Where <see cref="EchoPorts"/> go.</summary>
    public const ushort EchoPort = 0xe0;

    /// <summary>Where <see cref="FlushPorts"/> go.</summary>
    public const ushort FlushPort = 0xe4;

    /// <summary>Where <see cref="ByteEchoPorts"/> go; the debug console at 0xe9 and they exclude each other.</summary>
    public const ushort ByteEchoPort = 0xe8;

    /// <summary>Where <see cref="InterruptPorts"/> go.</summary>
    public const ushort InterruptPort = 0x2000;

    /// <summary>Where <see cref="Memory"/> goes.</summary>
    public const ulong MemoryAddress = 0xff00_0000;

    private readonly byte[] echo = new byte[4];

    /// <summary>Makes the device; <paramref name="interrupts"/> are the lines that its ports set.</summary>
    public PcTestDevice(IInterruptInput interrupts)
    {
        EchoPorts = new EchoDevice(echo, sizeof(uint));
        ByteEchoPorts = new EchoDevice(echo, sizeof(byte));
        FlushPorts = new FlushDevice(this);
        InterruptPorts = new InterruptDevice(interrupts);
        Memory = new MemoryDevice();
    }

    /// <summary>Four ports that hold 32 bits, for accesses of any width.</summary>
    public IPortDevice EchoPorts { get; }

    /// <summary>Four ports that hold the same 32 bits, a byte an access.</summary>
    public IPortDevice ByteEchoPorts { get; }

    /// <summary>
    /// A port that takes the guest-physical address of a page whose host mapping goes and comes back. The guest cannot see
    /// it, and nothing else is done; see <see cref="Flushes"/>.
    /// </summary>
    public IPortDevice FlushPorts { get; }

    /// <summary>A port for each of 24 interrupt lines: a byte that is not zero asserts it.</summary>
    public IPortDevice InterruptPorts { get; }

    /// <summary>64 KiB of memory that is MMIO to the guest.</summary>
    public IMmioDevice Memory { get; }

    /// <summary>How many pages were asked to be flushed.</summary>
    public ulong Flushes { get; private set; }

    private sealed class EchoDevice(byte[] echo, int widest) : IPortDevice
    {
        public int PortCount => 4;

        public int MaximumPortWidth => widest;

        public uint ReadPort(int offset, int width) => BinaryPrimitives.ReadUInt32LittleEndian(echo) >> (8 * offset);

        public void WritePort(int offset, int width, uint value)
        {
            for (int i = 0; i < width; i++)
            {
                echo[offset + i] = (byte)(value >> (8 * i));
            }
        }
    }

    private sealed class FlushDevice(PcTestDevice device) : IPortDevice
    {
        public int PortCount => 4;

        public int MaximumPortWidth => 4;

        public uint ReadPort(int offset, int width) => uint.MaxValue;

        public void WritePort(int offset, int width, uint value) => device.Flushes += width == 4 ? 1u : 0;
    }

    private sealed class InterruptDevice(IInterruptInput interrupts) : IPortDevice
    {
        public int PortCount => 24;

        public int MaximumPortWidth => 4;

        public uint ReadPort(int offset, int width) => uint.MaxValue;

        public void WritePort(int offset, int width, uint value)
        {
            if (width == 1)
            {
                interrupts.SetLine(offset, value != 0);
            }
        }
    }

    private sealed class MemoryDevice : IMmioDevice
    {
        private readonly byte[] bytes = new byte[0x10000];

        public ulong Size => (ulong)bytes.Length;

        public void Read(ulong offset, Span<byte> destination) => bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);

        public void Write(ulong offset, ReadOnlySpan<byte> source) => source.CopyTo(bytes.AsSpan((int)offset));
    }
}
