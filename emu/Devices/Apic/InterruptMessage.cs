namespace Quadwalk.Emulation;

/// <summary>A message between APICs.</summary>
/// <param name="Destination">The physical APIC ID, or the logical destination.</param>
/// <param name="Mode">What is asked.</param>
/// <param name="Vector">The vector, or the start-up page.</param>
/// <param name="IsLogical">Whether the destination is a logical one.</param>
/// <param name="IsLevel">Whether the source is level triggered and waits for an EOI.</param>
/// <param name="Is32Bit">Whether the destination has 32 bits, as from an x2APIC, rather than 8; all ones is a broadcast.</param>
public readonly record struct InterruptMessage(
    uint Destination, DeliveryMode Mode, byte Vector, bool IsLogical = false, bool IsLevel = false, bool Is32Bit = false)
{
    /// <summary>Whether everyone is meant.</summary>
    public bool IsBroadcast => Destination == (Is32Bit ? uint.MaxValue : 0xff);
}
