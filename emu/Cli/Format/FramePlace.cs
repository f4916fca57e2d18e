using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>What answers at a guest-physical address.</summary>
/// <param name="Address">The address.</param>
/// <param name="Slot">The memslot that holds it, or null.</param>
/// <param name="Device">The device, where there is no memslot; null for nothing at all.</param>
internal sealed record FramePlace(Gpa Address, Memslot? Slot, MmioRegion? Device)
{
    public static FramePlace Of(Gpa address, Memslots slots, MmioBus devices) =>
        slots.TryFind(address, out Memslot? slot) ? new(address, slot, null)
        : devices.TryFind(address, out MmioRegion region) ? new(address, null, region)
        : new(address, null, null);

    /// <summary>How far it lies behind the start of that.</summary>
    public ulong Offset => Address.Value - (Slot?.Base ?? Device?.Base ?? Address).Value;

    public override string ToString() => this switch
    {
        { Slot: { } slot } => string.Create(
            CultureInfo.InvariantCulture, $"memslot {slot.Id} ({slot.Base}..0x{slot.End.Value - 1:x}{(slot.IsWritable ? "" : ", read-only")}), offset 0x{Offset:x}"),
        { Device: { } region } => $"no memslot: MMIO, {region.Device.GetType().Name} at {region.Base}, offset 0x{Offset:x}",
        _ => "no memslot and no device: reads give all ones, writes go nowhere",
    };
}
