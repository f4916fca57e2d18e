using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Guest memory by guest-virtual address, before there is a processor to walk the tables.</summary>
internal sealed class BootMemory(Machine machine, IReadOnlyList<BootRegion> regions)
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
        foreach (BootRegion region in regions)
        {
            if (gva.Value - region.Gva.Value < region.Length)
            {
                return region;
            }
        }

        throw new ArgumentException($"{gva} is not mapped", nameof(gva));
    }
}
