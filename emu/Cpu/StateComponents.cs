namespace Quadwalk.Emulation;

/// <summary>A state component that XSAVE manages beyond the legacy region (SDM Vol. 1, 13.1 and 13.5).</summary>
/// <param name="Number">Its bit in XCR0 and in every state-component bitmap.</param>
/// <param name="Feature">The feature that has it.</param>
/// <param name="Offset">Where it lies in the standard format.</param>
/// <param name="Size">Its bytes.</param>
/// <param name="Aligned">Whether the compacted format places it at a multiple of 64.</param>
internal readonly record struct StateComponent(int Number, CpuFeature Feature, int Offset, int Size, bool Aligned);

/// <summary>The state components of this processor as a table, and what follows from it.</summary>
internal static class StateComponents
{
    /// <summary>The x87 state, bit 0 of every bitmap.</summary>
    public const ulong X87 = 1 << 0;

    /// <summary>The XMM registers and MXCSR, bit 1.</summary>
    public const ulong Sse = 1 << 1;

    /// <summary>The upper halves of the YMM registers, bit 2.</summary>
    public const ulong Avx = 1 << AvxNumber;

    /// <summary>PKRU, bit 9.</summary>
    public const ulong Pkru = 1 << PkruNumber;

    /// <summary>The number of <see cref="Avx"/>.</summary>
    public const int AvxNumber = 2;

    /// <summary>The number of <see cref="Pkru"/>.</summary>
    public const int PkruNumber = 9;

    /// <summary>Where the extended region begins: the legacy region has 512 bytes and the header 64.</summary>
    public const int ExtendedRegion = 576;

    /// <summary>In XCOMP_BV: the area has the compacted format.</summary>
    public const ulong Compacted = 1UL << 63;

    private static readonly StateComponent[] Rows =
    [
        new(AvxNumber, CpuFeature.Avx, ExtendedRegion, 256, Aligned: false),
        new(PkruNumber, CpuFeature.Pku, 2688, 8, Aligned: false),
    ];

    /// <summary>What XCR0 may hold.</summary>
    public static ulong Supported(CpuFeatures features)
    {
        ulong mask = X87 | Sse;
        foreach (StateComponent row in Rows)
        {
            mask |= features.Has(row.Feature) ? 1UL << row.Number : 0;
        }

        return mask;
    }

    /// <summary>A component by its number; false where the extended region has none.</summary>
    public static bool TryGet(int number, out StateComponent component)
    {
        component = Array.Find(Rows, row => row.Number == number);
        return component.Size != 0;
    }

    /// <summary>The bytes of an area in the standard format that holds some components.</summary>
    public static int StandardSize(ulong mask)
    {
        int size = ExtendedRegion;
        foreach (StateComponent row in Rows)
        {
            size = (mask >> row.Number & 1) != 0 ? Math.Max(size, row.Offset + row.Size) : size;
        }

        return size;
    }

    /// <summary>The bytes of an area in the compacted format that holds some components.</summary>
    public static int CompactedSize(ulong mask) => CompactedOffset(mask, 63);

    /// <summary>Where a component lies in the compacted format with some components (SDM Vol. 1, 13.4.3).</summary>
    public static int CompactedOffset(ulong mask, int number)
    {
        int offset = ExtendedRegion;
        foreach (StateComponent row in Rows)
        {
            bool here = row.Number == number;
            if (here || (row.Number < number && (mask >> row.Number & 1) != 0))
            {
                offset = row.Aligned ? (offset + 63) & ~63 : offset;
                offset += here ? 0 : row.Size;
            }
        }

        return offset;
    }

    /// <summary>Where a component lies, by the format that XCOMP_BV says.</summary>
    public static int OffsetOf(ulong compaction, int number)
    {
        if ((compaction & Compacted) != 0)
        {
            return CompactedOffset(compaction, number);
        }

        TryGet(number, out StateComponent component);
        return component.Offset;
    }
}
