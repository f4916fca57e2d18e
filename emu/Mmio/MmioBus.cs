using System.Diagnostics.CodeAnalysis;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// Routes accesses to guest-physical addresses without memory. An access that crosses the border of a device is split
/// there. Where no device is, reads give all ones and writes are dropped; both are counted.
/// </summary>
public sealed class MmioBus
{
    /// <summary>The widest access of one instruction, in bytes.</summary>
    public const int WidestAccess = 64;

    private readonly RangeMap<IMmioDevice> map = new();

    /// <summary>Sees every piece of every access; null when nobody watches.</summary>
    public MmioObserver? Observer { get; set; }

    /// <summary>How many reads, in pieces, found no device.</summary>
    public ulong UnclaimedReads { get; private set; }

    /// <summary>How many writes, in pieces, found no device.</summary>
    public ulong UnclaimedWrites { get; private set; }

    /// <summary>The attached devices in ascending order of address.</summary>
    public IReadOnlyList<MmioRegion> Regions
    {
        get
        {
            var regions = new List<MmioRegion>();
            foreach (RangeMap<IMmioDevice>.Range range in map.Ranges)
            {
                regions.Add(new MmioRegion(new Gpa(range.First), range.Last - range.First + 1, range.Value!));
            }

            return regions;
        }
    }

    /// <summary>Lets <paramref name="device"/> answer from <paramref name="address"/> on.</summary>
    /// <exception cref="ArgumentException">
    /// The range is empty, wraps or overlaps another device, or the device's widest access is not 1 to 64 bytes.
    /// </exception>
    public void Attach(Gpa address, IMmioDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.MaximumAccessWidth is < 1 or > WidestAccess)
        {
            ThrowBadWidth(device);
        }

        map.Add(address.Value, device.Size, device);
    }

    /// <summary>
    /// Lets an attached device answer from another address on; where other devices are already, it answers nowhere until it is moved again.
    /// </summary>
    internal void Move(IMmioDevice device, Gpa address)
    {
        map.Remove(device);
        if (!map.Meets(address.Value, device.Size))
        {
            Attach(address, device);
        }
    }

    /// <summary>Finds the device that answers at <paramref name="address"/>.</summary>
    public bool TryFind(Gpa address, out MmioRegion region)
    {
        bool found = map.TryFind(address.Value, out RangeMap<IMmioDevice>.Range range);
        region = found ? new MmioRegion(new Gpa(range.First), range.Last - range.First + 1, range.Value!) : default;
        return found;
    }

    /// <summary>
    /// Answers for memory that a memslot covers and the access path cannot reach (<see cref="GuestAccessStatus.Fault"/>), as the user of KVM
    /// answers the MMIO exit that KVM makes of it; offsets are guest-physical addresses. Null: the machine stops with
    /// <see cref="StopReason.MemoryUnreachable"/>.
    /// </summary>
    public IMmioDevice? UnreachableMemory { get; set; }

    /// <summary>Fills <paramref name="destination"/> from the devices at <paramref name="address"/>.</summary>
    /// <returns><see cref="MmioOutcome.Done"/>, or what the first device said that is not ready; those after it were not asked.</returns>
    public MmioOutcome Read(Gpa address, Span<byte> destination) => Read(address, destination, null, out _);

    /// <summary>Hands <paramref name="source"/> to the devices at <paramref name="address"/>.</summary>
    /// <returns><see cref="MmioOutcome.Done"/>, or what the first device said that is not ready; those after it were not asked.</returns>
    public MmioOutcome Write(Gpa address, ReadOnlySpan<byte> source) => Write(address, source, null, out _);

    /// <summary>Reads in pieces, of which those that <paramref name="journal"/> holds are not read again.</summary>
    internal MmioOutcome Read(Gpa address, Span<byte> destination, MmioJournal? journal, out Gpa refused)
    {
        while (!destination.IsEmpty)
        {
            Span<byte> piece = destination[..Route(address, destination.Length, out IMmioDevice? device, out ulong offset)];
            if (journal is null || !journal.TryReplayRead(address, piece))
            {
                MmioOutcome outcome = ReadPiece(device, address, offset, piece);
                if (outcome != MmioOutcome.Done)
                {
                    refused = address;
                    return outcome;
                }

                journal?.Add(address, piece, isWrite: false);
            }

            destination = destination[piece.Length..];
            address += (ulong)piece.Length;
        }

        refused = default;
        return MmioOutcome.Done;
    }

    /// <summary>Writes in pieces, of which those that <paramref name="journal"/> holds are not written again.</summary>
    internal MmioOutcome Write(Gpa address, ReadOnlySpan<byte> source, MmioJournal? journal, out Gpa refused)
    {
        while (!source.IsEmpty)
        {
            ReadOnlySpan<byte> piece = source[..Route(address, source.Length, out IMmioDevice? device, out ulong offset)];
            if (journal is null || !journal.TryReplayWrite(address, piece))
            {
                MmioOutcome outcome = WritePiece(device, address, offset, piece);
                if (outcome != MmioOutcome.Done)
                {
                    refused = address;
                    return outcome;
                }

                journal?.Add(address, piece, isWrite: true);
            }

            source = source[piece.Length..];
            address += (ulong)piece.Length;
        }

        refused = default;
        return MmioOutcome.Done;
    }

    /// <summary>Reads from a device, or from nowhere, and tells the observer.</summary>
    internal MmioOutcome ReadPiece(IMmioDevice? device, Gpa address, ulong offset, Span<byte> piece)
    {
        MmioOutcome outcome = MmioOutcome.Done;
        if (device is null)
        {
            piece.Fill(0xff);
            UnclaimedReads++;
        }
        else
        {
            outcome = device.TryRead(offset, piece);
        }

        if (outcome == MmioOutcome.Done)
        {
            Observer?.Invoke(new MmioAccess(address, piece, isWrite: false, device));
        }

        return outcome;
    }

    /// <summary>Writes to a device, or to nowhere, and tells the observer.</summary>
    internal MmioOutcome WritePiece(IMmioDevice? device, Gpa address, ulong offset, ReadOnlySpan<byte> piece)
    {
        MmioOutcome outcome = MmioOutcome.Done;
        if (device is null)
        {
            UnclaimedWrites++;
        }
        else
        {
            outcome = device.TryWrite(offset, piece);
        }

        if (outcome == MmioOutcome.Done)
        {
            Observer?.Invoke(new MmioAccess(address, piece, isWrite: true, device));
        }

        return outcome;
    }

    private int Route(Gpa address, int wanted, out IMmioDevice? device, out ulong offset)
    {
        int widest = map.TryFind(address.Value, out RangeMap<IMmioDevice>.Range range)
            ? range.Value!.MaximumAccessWidth
            : WidestAccess;
        device = range.Value;
        offset = address.Value - range.First;
        int length = Math.Min(wanted, widest);
        ulong after = range.Last - address.Value;
        return after < (ulong)length ? (int)after + 1 : length;
    }

    [DoesNotReturn]
    private static void ThrowBadWidth(IMmioDevice device) =>
        throw new ArgumentException($"{device}: the widest access is {device.MaximumAccessWidth} bytes, expected 1 to {WidestAccess}");
}
