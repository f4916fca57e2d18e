using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Hears of each page walk while it happens: what <c>trace --walks</c> prints.</summary>
public interface IWalkListener
{
    /// <summary>A walk begins.</summary>
    void OnWalkBegin(Gva gva, WalkAccess access);

    /// <summary>An entry was read.</summary>
    void OnEntry(int level, Gpa entry, PageTableEntry value);

    /// <summary>A or D was set in an entry.</summary>
    void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after);

    /// <summary>The walk is done.</summary>
    void OnWalkEnd(Gva gva, WalkAccess access, in WalkResult result);
}

/// <summary>Passes what the walker reports to a listener.</summary>
internal readonly struct ListeningObserver(IWalkListener listener) : IWalkObserver
{
    /// <inheritdoc/>
    public static bool Enabled => true;

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value) => listener.OnEntry(level, entry, value);

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) => listener.OnUpdate(level, entry, before, after);
}
