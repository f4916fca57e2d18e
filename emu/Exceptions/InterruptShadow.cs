namespace Quadwalk.Emulation;

/// <summary>What the last instruction keeps away from the boundary before the next one (SDM Vol. 3A, 7.8.1 and 7.8.3).</summary>
internal enum InterruptShadow : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>STI that set IF: maskable interrupts.</summary>
    Sti,

    /// <summary>A load of SS by MOV or POP: interrupts, NMIs, debug traps and instruction breakpoints.</summary>
    MovSs,
}
