using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Sees every entry that a two-dimensional walk reads and changes, in order.</summary>
public interface INestedWalkObserver : ISecondStageObserver
{
    /// <summary>The second stage begins to translate an address; its entries follow.</summary>
    void OnTranslate(Gpa gpa, SecondStagePurpose purpose);

    /// <summary>An entry of the guest's tables was read; as <see cref="IWalkObserver.OnEntry"/>.</summary>
    void OnGuestEntry(int level, Gpa entry, PageTableEntry value);

    /// <summary>A flag was set in the guest's tables; as <see cref="IWalkObserver.OnUpdate"/>.</summary>
    void OnGuestUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after);

    /// <summary>The walk has ended.</summary>
    void OnEnd(in NestedWalkResult result);
}
