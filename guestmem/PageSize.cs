namespace Quadwalk.GuestMemory;

/// <summary>The page sizes of x86-64 paging, in bytes, with their shifts and offset masks (SDM Vol. 3A, table 5-1).</summary>
public static class PageSize
{
    /// <summary>log2 of 4 KiB.</summary>
    public const int Shift4K = 12;

    /// <summary>log2 of 2 MiB.</summary>
    public const int Shift2M = 21;

    /// <summary>log2 of 1 GiB.</summary>
    public const int Shift1G = 30;

    /// <summary>4 KiB.</summary>
    public const ulong Size4K = 1UL << Shift4K;

    /// <summary>2 MiB.</summary>
    public const ulong Size2M = 1UL << Shift2M;

    /// <summary>1 GiB.</summary>
    public const ulong Size1G = 1UL << Shift1G;

    /// <summary>The offset bits of a 4 KiB page.</summary>
    public const ulong Mask4K = Size4K - 1;
}
