using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>The memslots of one generation, in ascending order of address. Nothing in it changes but the hint.</summary>
internal sealed class MemslotSnapshot
{
    private static readonly Memslot Nowhere = new(-1, default, 0, default, MemslotFlags.ReadOnly);

    private readonly Memslot[] slots;

    // Any thread may write it and read what another wrote: it is one reference, always to an immutable slot of this snapshot
    // or to the empty one, so that whatever is read is right.
    private Memslot lastHit;

    public MemslotSnapshot(Memslot[] slots, ulong generation)
    {
        this.slots = slots;
        lastHit = slots.Length == 0 ? Nowhere : slots[0];
        Generation = generation;
    }

    public ulong Generation { get; }

    public ReadOnlySpan<Memslot> Slots => slots;

    public IReadOnlyList<Memslot> List => Array.AsReadOnly(slots);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFind(Gpa gpa, [NotNullWhen(true)] out Memslot? slot)
    {
        slot = lastHit;
        return slot.Contains(gpa) || TrySearch(gpa, out slot);
    }

    /// <summary>The index of the first slot whose base is above <paramref name="gpa"/>.</summary>
    public int UpperBound(Gpa gpa)
    {
        int low = 0;
        for (int high = slots.Length; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = slots[middle].Base.Value <= gpa.Value ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TrySearch(Gpa gpa, [NotNullWhen(true)] out Memslot? slot)
    {
        int next = UpperBound(gpa);
        slot = next == 0 ? null : slots[next - 1];
        if (slot is null || !slot.Contains(gpa))
        {
            slot = null;
            return false;
        }

        lastHit = slot;
        return true;
    }
}
