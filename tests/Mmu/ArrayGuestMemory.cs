using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Guest memory from address 0 in one array; a tail of it may be read-only.</summary>
internal sealed class ArrayGuestMemory(int length) : IGuestMemoryAccess
{
    private readonly byte[] bytes = new byte[length];

    public string Name => "array";

    public ulong ReadOnlyFrom { get; set; } = ulong.MaxValue;

    public int Writes { get; private set; }

    public ulong this[ulong gpa]
    {
        get => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)gpa));
        set => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan((int)gpa), value);
    }

    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination)
    {
        if (!Covers(gpa, destination.Length))
        {
            return GuestAccessStatus.NoSlot;
        }

        bytes.AsSpan((int)gpa.Value, destination.Length).CopyTo(destination);
        return GuestAccessStatus.Success;
    }

    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source)
    {
        GuestAccessStatus status = WriteStatus(gpa, source.Length);
        if (status == GuestAccessStatus.Success)
        {
            source.CopyTo(bytes.AsSpan((int)gpa.Value));
            Writes++;
        }

        return status;
    }

    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value)
    {
        bool covered = Covers(gpa, sizeof(ulong));
        value = covered ? this[gpa.Value] : 0;
        return covered ? GuestAccessStatus.Success : GuestAccessStatus.NoSlot;
    }

    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed)
    {
        GuestAccessStatus status = WriteStatus(gpa, sizeof(ulong));
        observed = 0;
        if (status == GuestAccessStatus.Success)
        {
            observed = this[gpa.Value];
            this[gpa.Value] = observed == expected ? desired : observed;
            Writes += observed == expected ? 1 : 0;
        }

        return status;
    }

    private bool Covers(Gpa gpa, int size) => gpa.Value <= (ulong)bytes.Length && (ulong)size <= (ulong)bytes.Length - gpa.Value;

    private GuestAccessStatus WriteStatus(Gpa gpa, int size) =>
        !Covers(gpa, size) ? GuestAccessStatus.NoSlot
        : gpa.Value + (ulong)size > ReadOnlyFrom ? GuestAccessStatus.ReadOnlySlot
        : GuestAccessStatus.Success;
}
