using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// The host frames of memslots: each range of host memory that slots map gets frame numbers once, so that slots that share memory share frames.
/// A slot that reaches beyond a known range, or overlaps two, gets a range of its own, and with it second numbers for what is shared.
/// </summary>
internal sealed class SlotFrames(HostFrames frames)
{
    private readonly List<Region> regions = [];

    /// <summary>Gives frame numbers to memory that is there as long as the machine is.</summary>
    public void AddMachineMemory(HostMemory memory) => Add(memory.Base, memory.Size, lasting: true);

    /// <summary>The host-physical address of a slot's first byte; the others follow it.</summary>
    /// <exception cref="HostMemoryException">ENOMEM: the slot is larger than what is left of the host-physical address space.</exception>
    public Hpa AddressOf(Memslot slot)
    {
        foreach (Region region in regions)
        {
            if (region.Covers(slot))
            {
                return region.First.Address + (slot.Host.Value - region.Host.Value);
            }
        }

        return Add(slot.Host, slot.Size, lasting: false).Address;
    }

    /// <summary>Takes away the frame numbers of memory that no slot maps any more.</summary>
    public void Trim(IReadOnlyList<Memslot> slots)
    {
        for (int i = regions.Count - 1; i >= 0; i--)
        {
            Region region = regions[i];
            if (!region.Lasting && !slots.Any(region.Covers))
            {
                frames.RemoveRegion(region.First);
                regions.RemoveAt(i);
            }
        }
    }

    private Pfn Add(Hva host, ulong size, bool lasting)
    {
        Pfn first = frames.AddRegion(host, size);
        regions.Add(new Region(host, size, first, lasting));
        return first;
    }

    private readonly record struct Region(Hva Host, ulong Size, Pfn First, bool Lasting)
    {
        public bool Covers(Memslot slot)
        {
            ulong offset = slot.Host.Value - Host.Value;
            return offset < Size && slot.Size <= Size - offset;
        }
    }
}
