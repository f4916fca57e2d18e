using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Where things lie in guest-physical memory.</summary>
public static class PhysicalLayout
{
    /// <summary>The first address that is not RAM: from here to 4 GiB lie devices.</summary>
    public const ulong DeviceHole = 0xC000_0000;

    /// <summary>Where RAM goes on after the devices.</summary>
    public const ulong HighRam = 0x1_0000_0000;

    /// <summary>The size of the range for devices.</summary>
    public const ulong HoleBytes = HighRam - DeviceHole;

    /// <summary>The MMIO UART.</summary>
    public static Gpa Uart => new(0xD000_0000);

    /// <summary>The scratch-RAM device.</summary>
    public static Gpa Scratch => new(0xD001_0000);

    /// <summary>The end of guest-physical memory: of RAM, and of the device hole at least.</summary>
    public static ulong End(ulong ramBytes) => ramBytes <= DeviceHole ? HighRam : ramBytes + HoleBytes;
}
