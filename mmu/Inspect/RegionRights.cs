namespace Quadwalk.Mmu;

/// <summary>What a stretch of linear addresses allows; neighbours that are equal in it make one range.</summary>
[Flags]
internal enum RegionRights : byte
{
    /// <summary>Nothing is mapped.</summary>
    Unmapped = 0,

    User = (byte)PageRights.User,
    Write = (byte)PageRights.Write,
    NoExecute = (byte)PageRights.NoExecute,

    /// <summary>A page is mapped, with the rights in the bits above.</summary>
    Mapped = 1 << 3,

    /// <summary>Its tables were not looked at, since there are too many; no other bit is set.</summary>
    NotScanned = 1 << 4,
}
