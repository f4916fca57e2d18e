using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Guest memory by guest-virtual address, before there is a processor to walk the tables.</summary>
internal sealed class BootMemory(Machine machine, IReadOnlyList<BootRegion> sorted)
{
    /// <summary>Writes bytes that lie in mapped regions.</summary>
    public void Write(Gva gva, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            BootRegion region = RegionOf(gva);
            ulong offset = gva.Value - region.Gva.Value;
            int length = (int)Math.Min((ulong)bytes.Length, region.Length - offset);
            machine.WriteMemory(region.Gpa + offset, bytes[..length]);
            bytes = bytes[length..];
            gva += (ulong)length;
        }
    }

    private BootRegion RegionOf(Gva gva)
    {
        int low = 0;
        for (int high = sorted.Count; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = sorted[middle].Last.Value < gva.Value ? (middle + 1, high) : (low, middle);
        }

        return low < sorted.Count && sorted[low].Gva.Value <= gva.Value
            ? sorted[low]
            : throw new ArgumentException($"{gva} is not mapped", nameof(gva));
    }
}
