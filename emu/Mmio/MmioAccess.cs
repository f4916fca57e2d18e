using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>One piece of an MMIO access, as its device saw it.</summary>
/// <param name="gpa">The address of the first byte.</param>
/// <param name="bytes">The bytes read or written.</param>
/// <param name="isWrite">Whether the guest wrote.</param>
/// <param name="device">The device, or null where there is none.</param>
public readonly ref struct MmioAccess(Gpa gpa, ReadOnlySpan<byte> bytes, bool isWrite, IMmioDevice? device)
{
    /// <summary>The address of the first byte.</summary>
    public Gpa Gpa { get; } = gpa;

    /// <summary>The bytes read or written; valid only during the call.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    /// <summary>The width in bytes.</summary>
    public int Width => Bytes.Length;

    /// <summary>Whether the guest wrote.</summary>
    public bool IsWrite { get; } = isWrite;

    /// <summary>The device, or null where there is none: a read gave ones, a write was dropped.</summary>
    public IMmioDevice? Device { get; } = device;
}
