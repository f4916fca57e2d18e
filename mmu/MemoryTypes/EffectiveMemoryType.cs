namespace Quadwalk.Mmu;

/// <summary>How page-level types and the types of physical memory combine (SDM Vol. 3A, section 13.5.2), as the SDM's tables.</summary>
public static class EffectiveMemoryType
{
    private const int Types = 8;
    private const MemoryType UC = MemoryType.UC, WC = MemoryType.WC, WT = MemoryType.WT, WP = MemoryType.WP, WB = MemoryType.WB;

    /// <summary>Marks an encoding that is no type.</summary>
    private const MemoryType No = (MemoryType)byte.MaxValue;

    /// <summary>SDM Vol. 3A, table 13-7: a row for each type of memory, a column for each type of the PAT.</summary>
    private static ReadOnlySpan<MemoryType> WithPatTable =>
    [
        //           UC  WC  -   -   WT  WP  WB  UC-
        /* UC */     UC, WC, No, No, UC, UC, UC, UC,
        /* WC */     UC, WC, No, No, UC, UC, WC, WC,
        /* -  */     No, No, No, No, No, No, No, No,
        /* -  */     No, No, No, No, No, No, No, No,
        /* WT */     UC, WC, No, No, WT, WP, WT, UC,
        /* WP */     UC, WC, No, No, WT, WP, WP, WC,
        /* WB */     UC, WC, No, No, WT, WP, WB, UC,
        /* -  */     No, No, No, No, No, No, No, No,
    ];

    /// <summary>SDM Vol. 3A, table 13-6, for processors without the PAT: a column for each value of 2 * PCD + PWT.</summary>
    private static ReadOnlySpan<MemoryType> WithoutPatTable =>
    [
        //           00  01  10  11
        /* UC */     UC, UC, UC, UC,
        /* WC */     WC, WC, WC, UC,
        /* -  */     No, No, No, No,
        /* -  */     No, No, No, No,
        /* WT */     WT, WT, UC, UC,
        /* WP */     WP, WP, WC, UC,
        /* WB */     WB, WT, UC, UC,
        /* -  */     No, No, No, No,
    ];

    /// <summary>Combines the type that an MTRR or an EPT entry gives memory with the type from the PAT.</summary>
    /// <param name="memory">UC, WC, WT, WP or WB.</param>
    /// <param name="pat">Any type.</param>
    /// <returns>The type of the access; never UC-.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is none of these.</exception>
    public static MemoryType Combine(MemoryType memory, MemoryType pat)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((byte)memory, Types, nameof(memory));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((byte)pat, Types, nameof(pat));
        return Known(WithPatTable[((int)memory * Types) + (int)pat], memory);
    }

    /// <summary>Combines the type that an MTRR gives memory with PCD and PWT, where there is no PAT.</summary>
    /// <param name="memory">UC, WC, WT, WP or WB.</param>
    /// <param name="pcd">PCD of the entry.</param>
    /// <param name="pwt">PWT of the entry.</param>
    /// <exception cref="ArgumentOutOfRangeException">The type is none of these.</exception>
    public static MemoryType CombineWithoutPat(MemoryType memory, bool pcd, bool pwt)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((byte)memory, Types, nameof(memory));
        return Known(WithoutPatTable[((int)memory * 4) + (pcd ? 2 : 0) + (pwt ? 1 : 0)], memory);
    }

    private static MemoryType Known(MemoryType type, MemoryType memory) =>
        type != No ? type : throw new ArgumentOutOfRangeException(nameof(memory), memory, "Not a type of memory, or not one of the PAT.");
}
