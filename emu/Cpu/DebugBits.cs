namespace Quadwalk.Emulation;

/// <summary>Bits of DR6 (SDM Vol. 3B, 18.2.3).</summary>
public static class Dr6
{
    /// <summary>B0 to B3: the conditions of DR0 to DR3 that were met.</summary>
    public const ulong Breakpoints = 0xF;

    /// <summary>BD: a debug register was used with <see cref="Dr7.GD"/> set.</summary>
    public const ulong BD = 1 << 13;

    /// <summary>BS: a single step.</summary>
    public const ulong BS = 1 << 14;

    /// <summary>BT: a task switch to a TSS with T set.</summary>
    public const ulong BT = 1 << 15;

    /// <summary>What always reads 1.</summary>
    public const ulong Ones = 0xFFFF_0FF0;
}

/// <summary>Bits of DR7 (SDM Vol. 3B, 18.2.4).</summary>
public static class Dr7
{
    /// <summary>L0, G0 to L3, G3: a breakpoint is enabled by either of its two.</summary>
    public const ulong Enables = 0xFF;

    /// <summary>GD: the next use of a debug register raises #DB.</summary>
    public const ulong GD = 1 << 13;

    /// <summary>What always reads 1.</summary>
    public const ulong Ones = 0x400;
}

/// <summary>Bits of IA32_DEBUGCTL that this processor has (SDM Vol. 3B, 18.4.1).</summary>
public static class DebugControl
{
    /// <summary>LBR: record branches. It is kept, and there are no records.</summary>
    public const ulong LBR = 1 << 0;

    /// <summary>BTF: RFLAGS.TF steps over branches only.</summary>
    public const ulong BTF = 1 << 1;
}
