using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Table frames in guest memory, whose failures are the host's mistakes.</summary>
internal sealed class TableStore(IGuestMemoryAccess memory, Func<Gfn?> allocate)
{
    private readonly byte[] emptyTable = new byte[PageSize.Size4K];

    public int Allocated { get; private set; }

    public Gpa Allocate()
    {
        Gfn frame = allocate() ?? throw new InvalidOperationException($"No frame is left for page tables; {Allocated} are in use.");
        if (frame.Value > PageTableEntry.AddressMask4K >> PageSize.Shift4K)
        {
            throw new InvalidOperationException($"Frame {frame} for a page table is beyond the 52 bits of a guest-physical address.");
        }

        Check(memory.Write(frame.Address, emptyTable), frame.Address);
        Allocated++;
        return frame.Address;
    }

    public PageTableEntry Read(Gpa entry)
    {
        Check(memory.ReadUInt64(entry, out ulong value), entry);
        return new(value);
    }

    public void Write(Gpa entry, PageTableEntry value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(bytes, value.Raw);
        Check(memory.Write(entry, bytes), entry);
    }

    private static void Check(GuestAccessStatus status, Gpa at)
    {
        if (status != GuestAccessStatus.Success)
        {
            throw new InvalidOperationException($"The page tables cannot be reached at {at}: {status}.");
        }
    }
}
