namespace Quadwalk.Mmu;

/// <summary>The access that a guest-physical address is translated for.</summary>
/// <param name="Access">What is done there, and by whom. For the guest's tables only the kind matters.</param>
/// <param name="Purpose">Whether it is the linear address's own translation or an entry on the way to it.</param>
/// <param name="Translation">
/// What the first stage made of the linear address: mode-based execute control goes by U/S, and the exit qualification reports U/S, R/W and NX.
/// </param>
public readonly record struct SecondStageAccess(WalkAccess Access, SecondStagePurpose Purpose, PageRights Translation)
{
    /// <summary>A walk reads an entry of the guest's tables.</summary>
    public static readonly SecondStageAccess GuestTable = new(new WalkAccess(AccessKind.Read, User: false), SecondStagePurpose.GuestTable, PageRights.None);

    /// <summary>A walk sets a flag in an entry of the guest's tables.</summary>
    public static readonly SecondStageAccess GuestTableUpdate = new(new WalkAccess(AccessKind.Write, User: false), SecondStagePurpose.GuestTableUpdate, PageRights.None);

    /// <summary>The PDPTE registers are loaded.</summary>
    public static readonly SecondStageAccess PdpteLoad = new(new WalkAccess(AccessKind.Read, User: false), SecondStagePurpose.PdpteLoad, PageRights.None);

    /// <summary>The translation of a linear address is used.</summary>
    public static SecondStageAccess Final(WalkAccess access, PageRights translation) => new(access, SecondStagePurpose.FinalAddress, translation);

    /// <summary>The address belongs to the guest's page tables, as part of a walk.</summary>
    public bool IsGuestTable => Purpose is SecondStagePurpose.GuestTable or SecondStagePurpose.GuestTableUpdate;

    /// <summary>A shadow-stack access with supervisor rights.</summary>
    public bool IsSupervisorShadowStack => Access.ShadowStack && !Access.IsUser && Purpose == SecondStagePurpose.FinalAddress;
}
