using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>How a two-dimensional walk ended: a host-physical address, a fault of the guest, or an exit of the second stage.</summary>
public readonly struct NestedWalkResult
{
    /// <summary>
    /// The guest's walk. After an exit on one of its entries it names the level and address of that entry, and its failure has no meaning.
    /// </summary>
    public WalkResult Guest { get; init; }

    /// <summary>The translation of the final address, or the exit, with its level, entry and rule.</summary>
    public SecondStageResult SecondStage { get; init; }

    /// <summary>The access that the second stage ended with.</summary>
    public SecondStageAccess Access { get; init; }

    /// <summary>The address that the second stage ended with: after an exit the guest-physical address it reports.</summary>
    public Gpa Gpa { get; init; }

    /// <summary>The linear address; an exit reports it unless its cause was the loading of PDPTE registers.</summary>
    public Gva Gva { get; init; }

    /// <summary>The host-physical address of the byte asked for, on success.</summary>
    public Hpa Hpa { get; init; }

    /// <summary>
    /// U/S and G of the guest's page, R/W and NX combined over both stages, and D where no stage has a dirty flag left to set, on success.
    /// The cache bits are the guest's.
    /// </summary>
    public PageRights Rights { get; init; }

    /// <summary>log2 of the size of the region that is translated alike: the smaller page of the two.</summary>
    public int PageShift { get; init; }

    /// <summary>
    /// Which field of the guest's PAT, IA32_PAT under EPT and gPAT under NPT, its page selects: PAT, PCD and PWT as a number. Without paging
    /// the guest selects none, and its memory type is write-back.
    /// </summary>
    public int GuestPatIndex =>
        ((Guest.Rights & PageRights.WriteThrough) != 0 ? 1 : 0) | ((Guest.Rights & PageRights.CacheDisable) != 0 ? 2 : 0)
        | ((Guest.Rights & PageRights.Pat) != 0 ? 4 : 0);

    /// <summary>The exit, or <see cref="SecondStageExitReason.None"/>.</summary>
    public SecondStageExitReason Exit => SecondStage.Exit;

    /// <summary>The guest's own tables raise a fault.</summary>
    public bool GuestFaults => Exit == SecondStageExitReason.None && !Guest.Succeeded;

    /// <summary>Whether there is a translation.</summary>
    public bool Succeeded => Exit == SecondStageExitReason.None && Guest.Succeeded;

    /// <summary>The translation may be read: EPT has pages that may only be executed.</summary>
    public bool Readable => Succeeded && (SecondStage.Rights & SecondStageRights.Read) != 0;
}
