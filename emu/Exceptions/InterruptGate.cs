using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>An IDT entry of IA-32e mode (SDM Vol. 3A, figure 7-8).</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct InterruptGate
{
    /// <summary>Its size in bytes.</summary>
    public const int Size = 16;

    private const ulong InterruptType = 0xE;
    private const ulong TrapType = 0xF;
    private const ulong TypeAndS = 0x1F;

    private readonly ulong low;
    private readonly ulong high;

    /// <summary>A present gate.</summary>
    public InterruptGate(ulong target, ushort selector, int dpl = 0, int ist = 0, bool trap = false)
    {
        low = (target & 0xFFFF) | ((ulong)selector << 16) | ((ulong)ist << 32) | ((trap ? TrapType : InterruptType) << 40)
            | ((ulong)dpl << 45) | (1UL << 47) | ((target >> 16 & 0xFFFF) << 48);
        high = target >> 32;
    }

    /// <summary>The handler.</summary>
    public ulong Target => (low & 0xFFFF) | ((low >> 48) << 16) | (high << 32);

    /// <summary>The handler's code segment.</summary>
    public ushort Selector => (ushort)(low >> 16);

    /// <summary>The index of the stack in the TSS's interrupt stack table; 0 for none.</summary>
    public int Ist => (int)(low >> 32) & 7;

    /// <summary>DPL: up to which CPL INT n may use it.</summary>
    public int Dpl => (int)(low >> 45) & 3;

    /// <summary>P.</summary>
    public bool IsPresent => (low >> 47 & 1) != 0;

    /// <summary>An interrupt or trap gate; nothing else may stand in the IDT.</summary>
    public bool IsValid => (low >> 40 & TypeAndS) is InterruptType or TrapType;

    /// <summary>The handler begins with IF = 0.</summary>
    public bool ClearsIF => (low >> 40 & TypeAndS) == InterruptType;
}
