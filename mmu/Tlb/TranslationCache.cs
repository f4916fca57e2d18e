using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Translations to guest-physical addresses by page size, PCID and G, with the rights of their walk (SDM Vol. 3A, section 5.10.2).</summary>
internal sealed class TranslationCache(bool keepsPaths, TlbStatistics statistics)
{
    private static readonly (int Shift, int Sets)[] Geometry =
        [(PageSize.Shift4K, 512), (PageSize.Shift2M, 256), (Bits32Format.LargePageShift, 16), (PageSize.Shift1G, 16)];

    private readonly TranslationArray?[] arrays = new TranslationArray?[Geometry.Length];

    /// <summary>The PCIDs that translations belong to.</summary>
    public PcidStamps Stamps { get; } = new();

    /// <summary>The translation of an address under the current PCID; null where there is none.</summary>
    /// <param name="linear">The address.</param>
    /// <param name="index">The entry.</param>
    public TranslationArray? Find(ulong linear, out int index)
    {
        foreach (TranslationArray? array in arrays)
        {
            if (array is not null && (index = array.Find(linear, Stamps.Current, Stamps.Global)) >= 0)
            {
                return array;
            }
        }

        index = -1;
        return null;
    }

    /// <summary>Keeps the translation of a successful walk under the current PCID.</summary>
    public void Keep(ulong linear, in WalkResult walk, TlbContext context, in TablePath path)
    {
        if (ArrayFor(walk.PageShift).Add(linear, Stamps, walk, path))
        {
            statistics.CountEviction(walk.PageShift);
        }

        statistics.CountFill(context, walk.PageShift);
    }

    /// <summary>Drops what translates an address for the current PCID.</summary>
    public void Drop(ulong linear) => Drop(linear, Stamps.Current, Stamps.Global);

    /// <summary>Drops what translates an address for a PCID and is not global.</summary>
    public void Drop(ushort pcid, ulong linear) => Drop(linear, Stamps.Of(pcid), Stamps.Of(pcid));

    /// <summary>Adds what it holds to a list.</summary>
    public void CopyTo(List<CachedTranslation> list)
    {
        foreach (TranslationArray? array in arrays)
        {
            array?.CopyTo(list, Stamps);
        }
    }

    private void Drop(ulong linear, ulong stamp, ulong globalStamp)
    {
        foreach (TranslationArray? array in arrays)
        {
            array?.Drop(linear, stamp, globalStamp);
        }
    }

    private TranslationArray ArrayFor(int pageShift)
    {
        int place = pageShift switch
        {
            PageSize.Shift4K => 0,
            PageSize.Shift2M => 1,
            Bits32Format.LargePageShift => 2,
            _ => 3,
        };
        return arrays[place] ??= new TranslationArray(Geometry[place].Shift, Geometry[place].Sets, keepsPaths);
    }
}
