using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Tables that reference each other and themselves at random, in any paging mode.</summary>
internal static class RandomTables
{
    public const int Frames = 12;

    /// <summary>Tables with about <paramref name="present"/> present entries each; all of them for 512 and more.</summary>
    public static FrameTables Make(Random random, PagingMode mode, int present)
    {
        FrameTables tables = new(Frames);
        int entries = mode == PagingMode.Bits32 ? 1024 : 512;
        for (int frame = 0; frame < Frames; frame++)
        {
            // Runs of like entries, so that neighbours merge.
            for (int index = 0; index < entries; index++)
            {
                if (random.Next(entries) >= present)
                {
                    continue;
                }

                ulong raw = Entry(random, mode);
                for (int more = random.Next(4); more >= 0 && index < entries; more--, index++)
                {
                    Set(tables, mode, frame, index, random.Next(3) == 0 ? raw ^ ((ulong)random.Next(16) << 12) : raw);
                }
            }
        }

        return tables;
    }

    public static PagingState State(Random random, PagingMode mode)
    {
        ulong longMode = mode is PagingMode.FourLevel or PagingMode.FiveLevel ? PagingState.EferLMA : 0;
        ulong cr4 = mode switch
        {
            PagingMode.Bits32 => random.Next(4) == 0 ? 0 : PagingState.Cr4PSE,
            PagingMode.FiveLevel => PagingState.Cr4PAE | PagingState.Cr4LA57,
            _ => PagingState.Cr4PAE,
        };
        return new PagingState(
            PagingState.Cr0PG | PagingState.Cr0WP, (ulong)random.Next(Frames) << 12, cr4, longMode | (random.Next(4) == 0 ? 0 : PagingState.EferNXE),
            AlignmentCheck: false, PhysicalAddressBits: 36, Page1G: random.Next(4) != 0, Pse36: random.Next(4) != 0,
            Pdptes: new PdpteRegisters(Pdpte(random), Pdpte(random), Pdpte(random), Pdpte(random)));
    }

    private static void Set(FrameTables tables, PagingMode mode, int frame, int index, ulong raw)
    {
        if (mode != PagingMode.Bits32)
        {
            tables[frame, index] = raw;
            return;
        }

        int shift = 32 * (index & 1);
        tables[frame, index >> 1] = (tables[frame, index >> 1] & ~(0xffff_ffffUL << shift)) | ((raw & 0xffff_ffff) << shift);
    }

    private static ulong Entry(Random random, PagingMode mode)
    {
        ulong raw = ((ulong)random.Next(Frames + 1) << 12) | (uint)random.Next(0x80) | 1u | (random.Next(3) == 0 ? 0u : 6u);
        raw |= random.Next(4) == 0 ? PageTableEntry.PSBit : 0;
        raw |= random.Next(8) == 0 && mode != PagingMode.Bits32 ? PageTableEntry.NXBit : 0;
        if ((raw & PageTableEntry.PSBit) != 0 && random.Next(4) != 0)
        {
            raw = (raw & ~0x3fff_f000UL) | ((ulong)random.Next(4) << 30);
        }

        return random.Next(16) == 0 ? raw ^ (1UL << random.Next(mode == PagingMode.Bits32 ? 32 : 64)) : raw;
    }

    private static ulong Pdpte(Random random) => ((ulong)random.Next(Frames + 1) << 12) | (random.Next(4) == 0 ? 0u : 1u);
}
