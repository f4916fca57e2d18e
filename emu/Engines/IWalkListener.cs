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

/// <summary>Passes a walk on from its first entry or failure, so that a listener does not hear of what the TLB answered.</summary>
internal struct DeferredObserver(IWalkListener listener, Gva gva, WalkAccess access) : IWalkObserver
{
    private bool began;

    /// <inheritdoc/>
    public static bool Enabled => true;

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value)
    {
        Begin();
        listener.OnEntry(level, entry, value);
    }

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after)
    {
        Begin();
        listener.OnUpdate(level, entry, before, after);
    }

    /// <summary>The translation is done.</summary>
    public void End(in WalkResult result)
    {
        if (began || !result.Succeeded)
        {
            Begin();
            listener.OnWalkEnd(gva, access, result);
        }
    }

    private void Begin()
    {
        if (!began)
        {
            listener.OnWalkBegin(gva, access);
            began = true;
        }
    }
}
