using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The translations of one page size: 4 ways, by page number. In each set the next way to be replaced goes round.</summary>
internal sealed class TranslationArray
{
    private const int Ways = 4;

    private readonly ulong[] pages;
    private readonly ulong[] stamps;
    private readonly ushort[] pcids;
    private readonly WalkResult[] walks;
    private readonly TablePath[] paths;
    private readonly byte[] next;
    private readonly int setMask;

    public TranslationArray(int pageShift, int sets, bool keepsPaths)
    {
        PageShift = pageShift;
        setMask = sets - 1;
        pages = new ulong[sets * Ways];
        stamps = new ulong[sets * Ways];
        pcids = new ushort[sets * Ways];
        walks = new WalkResult[sets * Ways];
        paths = keepsPaths ? new TablePath[sets * Ways] : [];
        next = new byte[sets];
    }

    /// <summary>log2 of the page size.</summary>
    public int PageShift { get; }

    /// <summary>The walk that made an entry, to the first byte of its page.</summary>
    public ref readonly WalkResult Walk(int index) => ref walks[index];

    /// <summary>The entries that this walk used.</summary>
    public ref readonly TablePath Path(int index) => ref paths[index];

    /// <summary>The PCID of an entry.</summary>
    public ushort Pcid(int index) => pcids[index];

    /// <summary>The entry for an address with one of two stamps; -1 where there is none.</summary>
    public int Find(ulong linear, ulong stamp, ulong globalStamp)
    {
        ulong page = linear >> PageShift;
        int first = ((int)page & setMask) * Ways;
        for (int i = first; i < first + Ways; i++)
        {
            if (pages[i] == page && (stamps[i] == stamp || stamps[i] == globalStamp))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Puts a translation in; true if a live one had to make room.</summary>
    public bool Add(ulong linear, PcidStamps live, in WalkResult walk, in TablePath path)
    {
        ulong page = linear >> PageShift;
        int set = (int)page & setMask;
        int first = set * Ways;
        int index = first;
        while (index < first + Ways && live.IsLive(pcids[index], stamps[index]) && !IsReplacedBy(index, page, live))
        {
            index++;
        }

        bool evicts = index == first + Ways;
        if (evicts)
        {
            index = first + next[set];
            next[set] = (byte)((next[set] + 1) % Ways);
        }

        pages[index] = page;
        pcids[index] = live.Pcid;
        stamps[index] = (walk.Rights & PageRights.Global) != 0 ? live.Global : live.Current;
        walks[index] = walk with { Gpa = new(walk.Gpa.Value & ~((1UL << PageShift) - 1)) };
        if (paths.Length != 0)
        {
            paths[index] = path;
        }

        return evicts;
    }

    /// <summary>Drops the entry for an address that has one of two stamps.</summary>
    public void Drop(ulong linear, ulong stamp, ulong globalStamp)
    {
        for (int index = Find(linear, stamp, globalStamp); index >= 0; index = Find(linear, stamp, globalStamp))
        {
            stamps[index] = 0;
        }
    }

    /// <summary>Adds what stands to a list.</summary>
    public void CopyTo(List<CachedTranslation> list, PcidStamps live)
    {
        for (int i = 0; i < pages.Length; i++)
        {
            if (live.IsLive(pcids[i], stamps[i]))
            {
                list.Add(new CachedTranslation(new Gva(pages[i] << PageShift), PageShift, pcids[i], walks[i].Rights, walks[i].Gpa));
            }
        }
    }

    private bool IsReplacedBy(int index, ulong page, PcidStamps live) =>
        pages[index] == page && (stamps[index] == live.Current || stamps[index] == live.Global);
}
