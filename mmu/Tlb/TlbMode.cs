namespace Quadwalk.Mmu;

/// <summary>How faithfully the TLB behaves as hardware does.</summary>
public enum TlbMode : byte
{
    /// <summary>
    /// Translations to host addresses in front of a second level by page size. What is dropped is what the SDM requires or allows, and a walk
    /// always reads the tables. For speed.
    /// </summary>
    Fast,

    /// <summary>
    /// Entries by page size, PCID and G with the rights of their walk, and paging-structure caches that walks use; an invalidation drops what
    /// the SDM requires and no more. A guest that forgets one sees the old translation. The walks of the hypervisor, for MMIO, read the tables.
    /// </summary>
    Exact,

    /// <summary>As <see cref="Exact"/>, and each use of something cached is compared with the tables: see <see cref="StaleTranslation"/>.</summary>
    Strict,
}
