namespace Quadwalk.Emulation;

/// <summary>The selectors of <see cref="FirmwareConfig"/> that have a fixed meaning, named as in Linux's <c>qemu_fw_cfg.h</c>.</summary>
public enum FirmwareConfigKey : ushort
{
    /// <summary>The four characters QEMU.</summary>
    Signature = 0x00,

    /// <summary>The features: 1, the traditional interface.</summary>
    Id = 0x01,

    /// <summary>RAM in bytes, 64 bits.</summary>
    RamSize = 0x03,

    /// <summary>Whether there is no display, 16 bits.</summary>
    NoGraphic = 0x04,

    /// <summary>How many processors there are, 16 bits.</summary>
    Processors = 0x05,

    /// <summary>Where the kernel goes, 32 bits.</summary>
    KernelAddress = 0x07,

    /// <summary>The length of <see cref="KernelData"/>, 32 bits.</summary>
    KernelSize = 0x08,

    /// <summary>Where the initial RAM disk, or what takes its place, goes, 32 bits.</summary>
    InitrdAddress = 0x0a,

    /// <summary>The length of <see cref="InitrdData"/>, 32 bits.</summary>
    InitrdSize = 0x0b,

    /// <summary>How many processors there can be, 16 bits.</summary>
    MostProcessors = 0x0f,

    /// <summary>Where the kernel starts, 32 bits.</summary>
    KernelEntry = 0x10,

    /// <summary>The kernel.</summary>
    KernelData = 0x11,

    /// <summary>The initial RAM disk, or the multiboot information.</summary>
    InitrdData = 0x12,

    /// <summary>Where the command line goes, 32 bits.</summary>
    CommandLineAddress = 0x13,

    /// <summary>The length of <see cref="CommandLineData"/>, 32 bits.</summary>
    CommandLineSize = 0x14,

    /// <summary>The command line with its final zero.</summary>
    CommandLineData = 0x15,

    /// <summary>Where the set-up code goes, 32 bits.</summary>
    SetupAddress = 0x16,

    /// <summary>The length of <see cref="SetupData"/>, 32 bits.</summary>
    SetupSize = 0x17,

    /// <summary>The set-up code.</summary>
    SetupData = 0x18,

    /// <summary>The directory of the files.</summary>
    FileDirectory = 0x19,

    /// <summary>The first file.</summary>
    FirstFile = 0x20,

    /// <summary>Whether IRQ 0 is at pin 2 of the I/O APIC, 32 bits.</summary>
    Irq0Override = 0x8002,
}
