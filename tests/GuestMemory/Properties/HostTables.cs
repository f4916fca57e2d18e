using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>
/// A second reader of a process's page tables, from their bytes alone, for checks that must not believe the model's own: bits as the SDM has
/// them (volume 3, 4.5).
/// </summary>
internal static class HostTables
{
    private const ulong FrameMask = 0x000f_ffff_ffff_f000;

    /// <summary>The leaf that maps an address, or a word without P.</summary>
    public static ulong Leaf(HostKernel kernel, AddressSpace process, ulong address, out int level)
    {
        ulong table = process.Tables.Root.Value;
        for (level = 4; ; level--)
        {
            int index = (int)(address >> (12 + (9 * (level - 1)))) & 511;
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(kernel.Frames.Bytes(new Pfn(table))[(8 * index)..]);
            if (level == 1 || (word & 1) == 0 || (word & 0x80) != 0)
            {
                return word;
            }

            table = (word & FrameMask) >> 12;
        }
    }

    /// <summary>The frame of an address; false where nothing is present.</summary>
    public static bool TryFrame(HostKernel kernel, AddressSpace process, ulong address, out Pfn frame, out int level, out bool writable)
    {
        ulong leaf = Leaf(kernel, process, address, out level);
        frame = new Pfn(((leaf & FrameMask) >> 12) + ((address >> 12) & ((1UL << (9 * (level - 1))) - 1)));
        writable = (leaf & 2) != 0;
        return (leaf & 1) != 0;
    }

    /// <summary>Visits all tables and leaves of a process, the leaves that are not present among them.</summary>
    public static void Visit(HostKernel kernel, AddressSpace process, Action<Pfn> table, Action<ulong, int> leaf) =>
        Visit(kernel, process.Tables.Root, 4, table, leaf);

    private static void Visit(HostKernel kernel, Pfn at, int level, Action<Pfn> table, Action<ulong, int> leaf)
    {
        table(at);
        ReadOnlySpan<byte> bytes = kernel.Frames.Bytes(at);
        for (int i = 0; i < 512; i++)
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(8 * i)..]);
            if (word == 0)
            {
                continue;
            }

            if (level > 1 && (word & 0x81) == 1)
            {
                Visit(kernel, new Pfn((word & FrameMask) >> 12), level - 1, table, leaf);
            }
            else
            {
                leaf(word, level);
            }
        }
    }
}
