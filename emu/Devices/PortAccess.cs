namespace Quadwalk.Emulation;

/// <summary>One piece of a port access, as its device saw it.</summary>
/// <param name="Port">The first port.</param>
/// <param name="Width">1, 2 or 4 bytes; 3 in a gap between devices.</param>
/// <param name="Value">The value read or written.</param>
/// <param name="IsWrite">Whether the guest wrote.</param>
/// <param name="Device">The device, or null where there is none: a read gave ones, a write was dropped.</param>
public readonly record struct PortAccess(int Port, int Width, uint Value, bool IsWrite, IPortDevice? Device);
