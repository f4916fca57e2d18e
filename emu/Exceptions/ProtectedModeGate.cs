using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>An IDT entry outside IA-32e mode: an interrupt, trap or task gate (SDM Vol. 3A, figure 7-2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct ProtectedModeGate
{
    /// <summary>Its size in bytes.</summary>
    public const int Size = 8;

    private const int Task = 0x5;
    private const int Interrupt16 = 0x6;
    private const int Trap16 = 0x7;
    private const int Interrupt32 = 0xE;
    private const int Trap32 = 0xF;

    private readonly ulong raw;

    /// <summary>The handler's offset.</summary>
    public ulong Target => (raw & 0xFFFF) | (Is32Bit ? (raw >> 48) << 16 : 0);

    /// <summary>The handler's code segment, or the TSS of a task gate.</summary>
    public ushort Selector => (ushort)(raw >> 16);

    /// <summary>DPL: up to which CPL INT n may use it.</summary>
    public int Dpl => (int)(raw >> 45) & 3;

    /// <summary>P.</summary>
    public bool IsPresent => (raw >> 47 & 1) != 0;

    /// <summary>One of the types that may stand in the IDT.</summary>
    public bool IsValid => Type is Task or Interrupt16 or Trap16 or Interrupt32 or Trap32;

    /// <summary>A task gate.</summary>
    public bool IsTask => Type == Task;

    /// <summary>Whether the frame has words of 32 bits.</summary>
    public bool Is32Bit => Type is Interrupt32 or Trap32;

    /// <summary>The handler begins with IF = 0.</summary>
    public bool ClearsIF => Type is Interrupt16 or Interrupt32;

    /// <summary>Type and S.</summary>
    private int Type => (int)(raw >> 40) & 0x1F;
}
