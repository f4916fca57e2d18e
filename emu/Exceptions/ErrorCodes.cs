namespace Quadwalk.Emulation;

/// <summary>Bits of the error code that names a selector (SDM Vol. 3A, figure 7-7).</summary>
internal static class ErrorCodes
{
    /// <summary>EXT: met while delivering an event that no INT instruction asked for.</summary>
    public const uint External = 1 << 0;

    /// <summary>IDT: the index is a vector.</summary>
    public const uint Idt = 1 << 1;

    /// <summary>The error code for a selector: its index and table, without RPL.</summary>
    public static uint Of(ushort selector) => selector & 0xFFFCu;

    /// <summary>The error code for a vector's gate.</summary>
    public static uint OfVector(ExceptionVector vector) => ((uint)vector << 3) | Idt;
}
