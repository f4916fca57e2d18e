namespace Quadwalk.Emulation;

/// <summary>Which devices a machine has.</summary>
public enum MachineKind
{
    /// <summary>A console, an exit port and a scratch-RAM device, and no interrupts: for ELF64 and flat images.</summary>
    Bare,

    /// <summary>A PC with APICs and timers, as QEMU's: for multiboot images. See <see cref="PcBoard"/>.</summary>
    Pc,
}
