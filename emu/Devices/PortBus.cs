using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.Emulation;

/// <summary>
/// Routes IN and OUT (SDM Vol. 1, chapter 20). Where no device is, reads give all ones and writes are dropped; both are
/// counted. Ports that an access reaches beyond 0xffff belong to no device.
/// </summary>
public sealed class PortBus
{
    private const int PortSpace = 0x10000;

    private readonly RangeMap<IPortDevice> map = new();

    /// <summary>Sees every piece of every access; null when nobody watches.</summary>
    public Action<PortAccess>? Observer { get; set; }

    /// <summary>How many reads, in pieces, found no device.</summary>
    public ulong UnclaimedReads { get; private set; }

    /// <summary>How many writes, in pieces, found no device.</summary>
    public ulong UnclaimedWrites { get; private set; }

    /// <summary>Lets <paramref name="device"/> answer from <paramref name="port"/> on.</summary>
    /// <exception cref="ArgumentException">The ports are none, end beyond 0xffff or belong to another device.</exception>
    public void Attach(ushort port, IPortDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.PortCount < 1 || device.PortCount > PortSpace - port || device.MaximumPortWidth is not (1 or 2 or 4))
        {
            ThrowBadDevice(port, device);
        }

        map.Add(port, (ulong)device.PortCount, device);
    }

    /// <summary>IN: reads <paramref name="width"/> bytes, 1, 2 or 4.</summary>
    public uint Read(ushort port, int width)
    {
        RequireWidth(width);
        uint result = 0;
        for (int done = 0; done < width;)
        {
            int length = Route(port + done, width, width - done, out IPortDevice? device, out int offset);
            uint value = Mask(length);
            if (device is null)
            {
                UnclaimedReads++;
            }
            else
            {
                value &= device.ReadPort(offset, length);
            }

            Observer?.Invoke(new PortAccess(port + done, length, value, IsWrite: false, device));
            result |= value << (done * 8);
            done += length;
        }

        return result;
    }

    /// <summary>OUT: writes the low <paramref name="width"/> bytes, 1, 2 or 4, of <paramref name="value"/>.</summary>
    public void Write(ushort port, int width, uint value)
    {
        RequireWidth(width);
        for (int done = 0; done < width;)
        {
            int length = Route(port + done, width, width - done, out IPortDevice? device, out int offset);
            uint part = (value >> (done * 8)) & Mask(length);
            if (device is null)
            {
                UnclaimedWrites++;
            }
            else
            {
                device.WritePort(offset, length, part);
            }

            Observer?.Invoke(new PortAccess(port + done, length, part, IsWrite: true, device));
            done += length;
        }
    }

    private int Route(int port, int width, int rest, out IPortDevice? device, out int offset)
    {
        bool found = map.TryFind((ulong)port, out RangeMap<IPortDevice>.Range range);
        ulong room = range.Last - (ulong)port;
        device = range.Value;
        offset = (int)((ulong)port - range.First);
        if (!found)
        {
            return room < (ulong)rest ? (int)room + 1 : rest;
        }

        bool inOnePiece = rest == width && width <= device!.MaximumPortWidth && room >= (ulong)(width - 1);
        return inOnePiece ? width : 1;
    }

    private static uint Mask(int width) => uint.MaxValue >> (32 - width * 8);

    private static void RequireWidth(int width)
    {
        if (width is not (1 or 2 or 4))
        {
            ThrowBadWidth(width);
        }
    }

    [DoesNotReturn]
    private static void ThrowBadWidth(int width) =>
        throw new ArgumentOutOfRangeException(nameof(width), width, "a port access has 1, 2 or 4 bytes");

    [DoesNotReturn]
    private static void ThrowBadDevice(ushort port, IPortDevice device) =>
        throw new ArgumentException(
            $"{device} at port 0x{port:x}: {device.PortCount} ports with accesses of up to {device.MaximumPortWidth} bytes do not fit the port space");
}
