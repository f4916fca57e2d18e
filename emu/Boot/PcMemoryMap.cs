namespace Quadwalk.Emulation;

/// <summary>A range of the memory map that firmware gives (ACPI 6.5, 15.1).</summary>
/// <param name="Address">The guest-physical address of the first byte.</param>
/// <param name="Length">The length in bytes.</param>
/// <param name="IsUsable">Whether it is memory for anyone (type 1), or reserved (type 2).</param>
public readonly record struct PcMemoryRange(ulong Address, ulong Length, bool IsUsable);

/// <summary>The memory map of a PC, as its firmware gives it to INT 0x15, EAX 0xe820.</summary>
public static class PcMemoryMap
{
    /// <summary>The least RAM that the map describes: 2 MiB.</summary>
    public const ulong LeastRam = 2UL << 20;

    /// <summary>Conventional memory, below the extended BIOS data area.</summary>
    public const ulong ConventionalBytes = 0x9_fc00;

    /// <summary>The last part of RAM below 4 GiB, which firmware keeps for its tables.</summary>
    public const ulong FirmwareBytes = 128 << 10;

    private const ulong VideoStart = 0xa_0000, BiosStart = 0xf_0000, ExtendedStart = 0x10_0000, RomStart = 0xfffc_0000;

    /// <summary>Makes the map of a machine with <paramref name="ramBytes"/> of RAM, which lies as <see cref="PhysicalLayout"/> says.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is less RAM than <see cref="LeastRam"/>.</exception>
    public static IReadOnlyList<PcMemoryRange> Make(ulong ramBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ramBytes, LeastRam);
        ulong low = Math.Min(ramBytes, PhysicalLayout.DeviceHole);
        ulong tables = low - FirmwareBytes;
        List<PcMemoryRange> map =
        [
            new(0, ConventionalBytes, IsUsable: true),
            new(ConventionalBytes, VideoStart - ConventionalBytes, IsUsable: false),
            new(BiosStart, ExtendedStart - BiosStart, IsUsable: false),
            new(ExtendedStart, tables - ExtendedStart, IsUsable: true),
            new(tables, FirmwareBytes, IsUsable: false),
            new(RomStart, PhysicalLayout.HighRam - RomStart, IsUsable: false),
        ];
        if (ramBytes > low)
        {
            map.Add(new PcMemoryRange(PhysicalLayout.HighRam, ramBytes - low, IsUsable: true));
        }

        return map;
    }
}
