namespace Quadwalk.Mmu;

/// <summary>The privilege under which a translation was cached; rights are checked at fill, so each context has its own entries.</summary>
public enum TlbContext
{
    /// <summary>CPL 0 to 2, RFLAGS.AC = 0, and implicit supervisor accesses.</summary>
    Supervisor,

    /// <summary>CPL 0 to 2 with RFLAGS.AC = 1: SMAP does not apply (SDM Vol. 3A, 5.6).</summary>
    SupervisorWithAc,

    /// <summary>CPL 3.</summary>
    User,
}
