namespace Quadwalk.Mmu;

/// <summary>What a translation allows and how it is cached: rights combined over all levels, the rest as in the entry that maps the page.</summary>
[Flags]
public enum PageRights : ushort
{
    /// <summary>A supervisor page: readable and executable, not writable, not dirty.</summary>
    None = 0,

    /// <summary>A user page: U/S is 1 at every level.</summary>
    User = 1 << 0,

    /// <summary>Writable: R/W is 1 at every level.</summary>
    Write = 1 << 1,

    /// <summary>Not executable: NX is 1 at some level.</summary>
    NoExecute = 1 << 2,

    /// <summary>D is 1, so a write needs no further walk.</summary>
    Dirty = 1 << 3,

    /// <summary>G is 1 and CR4.PGE is 1.</summary>
    Global = 1 << 4,

    /// <summary>PWT is 1.</summary>
    WriteThrough = 1 << 5,

    /// <summary>PCD is 1.</summary>
    CacheDisable = 1 << 6,

    /// <summary>PAT is 1.</summary>
    Pat = 1 << 7,

    /// <summary>
    /// A shadow-stack page, with CR4.CET: R/W is 0 and D is 1 in the entry that maps it, and R/W is 1 at every level above
    /// (SDM Vol. 3A, section 5.6).
    /// </summary>
    ShadowStack = 1 << 8,
}
