using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A virtual machine of a random world: which page of which range each of its guest frames shows, as the world has set it up.</summary>
internal sealed class WorldMachine
{
    private readonly WorldRegion?[] shown;
    private readonly int[] pages;

    /// <param name="process">The VMM.</param>
    /// <param name="regions">The ranges that it has a slot for.</param>
    /// <param name="shift">By how many frames the guest-physical layout is moved.</param>
    /// <param name="readOnly">The range whose slot is read-only.</param>
    /// <param name="ring">The entries of its dirty rings; 0: it logs in bitmaps.</param>
    public WorldMachine(AddressSpace process, IEnumerable<WorldRegion> regions, int shift, int readOnly, int ring)
    {
        Vm = new Kvm(process) { DirtyRingEntries = ring };
        WorldRegion[] all = [.. regions];
        int frames = all.Max(region => region.FirstFrame + region.Pages) + shift;
        (shown, pages) = (new WorldRegion?[frames], new int[frames]);
        foreach (WorldRegion region in all)
        {
            int first = region.FirstFrame + shift;
            SlotIds.Add(region, -1);
            Gpa gpa = new((ulong)first << 12);
            ulong size = (ulong)region.Pages << 12;
            if (region.Backing is GuestMemfd file)
            {
                SlotIds[region] = Vm.AddGuestMemfdSlot(gpa, size, region.Page(0), file, 0).Id;
            }
            else
            {
                SlotIds[region] = Vm.Slots.Add(gpa, size, region.Page(0), region.Index == readOnly ? MemslotFlags.ReadOnly : MemslotFlags.None).Id;
            }

            for (int page = 0; page < region.Pages; page++)
            {
                (shown[first + page], pages[first + page]) = (region, page);
            }
        }
    }

    public Kvm Vm { get; }

    /// <summary>The number after the last guest frame.</summary>
    public int Frames => shown.Length;

    /// <summary>The slot of each range; -1 where it has none now.</summary>
    public Dictionary<WorldRegion, int> SlotIds { get; } = [];

    /// <summary>The first guest frame of a range.</summary>
    public Gfn FirstOf(WorldRegion region) => new((ulong)Array.IndexOf(shown, region));

    public List<GfnToPfnCache> Caches { get; } = [];

    /// <summary>The range and the page that a guest frame shows; no range: no memory.</summary>
    public WorldRegion? RegionOf(Gfn gfn, out int page)
    {
        bool inside = gfn.Value < (ulong)shown.Length;
        page = inside ? pages[gfn.Value] : 0;
        return inside ? shown[gfn.Value] : null;
    }
}
