namespace Quadwalk.GuestMemory;

/// <summary>What one processor has cached of the direct map: translations of each page size.</summary>
internal sealed class DirectMapTlb
{
    private const int BitsPerLevel = 9;
    private const int Levels = 3;
    private readonly HostTlb[] levels = [new(), new(), new()];

    /// <summary>Whether a translation of any size covers a frame.</summary>
    public bool Holds(ulong pfn) => levels[0].Holds(pfn) || levels[1].Holds(pfn >> BitsPerLevel) || levels[2].Holds(pfn >> (2 * BitsPerLevel));

    /// <summary>Caches what maps a frame.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="level">1: 4 KiB, 2: 2 MiB, 3: 1 GiB.</param>
    public void Fill(ulong pfn, int level)
    {
        ulong page = pfn >> (BitsPerLevel * (level - 1));
        levels[level - 1].Fill(page, new Pfn(page << (BitsPerLevel * (level - 1))));
    }

    /// <summary>INVLPG of each page, which drops larger translations of it too; or everything where the range is long.</summary>
    public void Flush(ulong first, ulong count)
    {
        for (int i = 0; i < Levels; i++)
        {
            if (count > HostTlb.SingleFlushCeiling)
            {
                levels[i].FlushAll();
                continue;
            }

            ulong from = first >> (BitsPerLevel * i);
            levels[i].Flush(from, ((first + count - 1) >> (BitsPerLevel * i)) - from + 1);
        }
    }
}
