namespace Quadwalk.Mmu;

/// <summary>What a second-stage translation allows, combined over all levels, and two flags of the entry that maps the page.</summary>
[Flags]
public enum SecondStageRights : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Data reads.</summary>
    Read = 1 << 0,

    /// <summary>Data writes.</summary>
    Write = 1 << 1,

    /// <summary>Instruction fetches; with mode-based execute control, those from supervisor-mode linear addresses.</summary>
    Execute = 1 << 2,

    /// <summary>Instruction fetches from user-mode linear addresses; without mode-based execute control the same as <see cref="Execute"/>.</summary>
    ExecuteUser = 1 << 3,

    /// <summary>The dirty flag is 1, or there are none.</summary>
    Dirty = 1 << 4,

    /// <summary>EPT: bit 60 is 1, a supervisor shadow-stack page.</summary>
    ShadowStack = 1 << 5,
}
