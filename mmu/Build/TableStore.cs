using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Table frames in guest memory, whose failures are the host's mistakes.</summary>
internal sealed class TableStore(IGuestMemoryAccess memory, Func<Gfn?> allocate, TableGeometry geometry)
{
    private readonly byte[] emptyTable = new byte[PageSize.Size4K];

    public int Allocated { get; private set; }

    public Gpa Allocate()
    {
        Gfn frame = allocate() ?? throw new InvalidOperationException($"No frame is left for page tables; {Allocated} are in use.");
        ulong end = geometry.EndOfTables(root: Allocated == 0);
        if (frame.Value >= end >> PageSize.Shift4K)
        {
            string width = end == 1UL << 32 ? "32 bits that this paging mode has for it" : "52 bits of a guest-physical address";
            throw new InvalidOperationException($"Frame {frame} for a page table is beyond the {width}.");
        }

        Check(memory.Write(frame.Address, emptyTable), frame.Address);
        Allocated++;
        return frame.Address;
    }

    public PageTableEntry Read(Gpa entry)
    {
        if (geometry.EntrySize == sizeof(ulong))
        {
            Check(memory.ReadUInt64(entry, out ulong value), entry);
            return new(value);
        }

        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Check(memory.Read(entry, bytes), entry);
        return new(BinaryPrimitives.ReadUInt32LittleEndian(bytes));
    }

    public void Write(Gpa entry, PageTableEntry value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value.Raw);
        Check(memory.Write(entry, bytes[..geometry.EntrySize]), entry);
    }

    private static void Check(GuestAccessStatus status, Gpa at)
    {
        if (status != GuestAccessStatus.Success)
        {
            throw new InvalidOperationException($"The page tables cannot be reached at {at}: {status}.");
        }
    }
}
