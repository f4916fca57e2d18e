using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>The guest-physical address space: which addresses are memory, and where the host maps them.</summary>
/// <remarks>
/// Lookups take no lock, allocate nothing, and may run in any number of threads beside a change; each sees the slots of one
/// generation. The rules for a change are those of KVM_SET_USER_MEMORY_REGION (<c>__kvm_set_memory_region</c>).
/// </remarks>
public sealed class Memslots
{
    private readonly Lock change = new();
    private volatile MemslotSnapshot current = new([], 0);
    private int nextId;

    /// <summary>
    /// Raised after each change, by the thread that made it and before its call returns: whoever keeps translations drops them here.
    /// </summary>
    public event Action? Changed;

    /// <summary>
    /// Set in <see cref="Generation"/> while a change is published and somebody may still use the slots of before
    /// (KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS): what is kept under such a generation is not current afterwards.
    /// </summary>
    public const ulong UpdateInProgress = 1UL << 63;

    /// <summary>The number of changes so far.</summary>
    public ulong Generation => current.Generation;

    /// <summary>The slots of this moment, in ascending order of address. Later changes do not show in it.</summary>
    public IReadOnlyList<Memslot> All => current.List;

    internal MemslotSnapshot Current => current;

    /// <summary>The flags that a slot may have.</summary>
    internal MemslotFlags Accepted { get; init; } = MemslotFlags.ReadOnly;

    /// <summary>The slot of a number, or null.</summary>
    internal Memslot? Find(int id)
    {
        foreach (Memslot slot in current.Slots)
        {
            if (slot.Id == id)
            {
                return slot;
            }
        }

        return null;
    }

    /// <summary>A slot that could be added now, with a number of its own.</summary>
    /// <param name="gpa">The first guest-physical address.</param>
    /// <param name="size">The size in bytes.</param>
    /// <param name="host">Where its first byte is mapped.</param>
    /// <param name="flags">What it allows.</param>
    /// <param name="except">The number of a slot that does not count as an overlap: the one that moves; -1: none.</param>
    /// <exception cref="MemslotException">EINVAL: an argument is out of range. EEXIST: the range overlaps another slot.</exception>
    internal Memslot Prepare(Gpa gpa, ulong size, Hva host, MemslotFlags flags, int except = -1)
    {
        CheckRange(gpa, size, host);
        CheckFlags(flags);
        foreach (Memslot other in current.Slots)
        {
            if (other.Id != except && other.Base.Value < gpa.Value + size && gpa.Value < other.End.Value)
            {
                ThrowOverlap(gpa, size, other);
            }
        }

        return new Memslot(except < 0 ? nextId++ : except, gpa, size, host, flags);
    }

    /// <summary>Publishes other slots, under a generation that says that the change is not over.</summary>
    internal void BeginUpdate(IEnumerable<Memslot> slots) =>
        current = new MemslotSnapshot([.. slots.OrderBy(slot => slot.Base.Value)], current.Generation | UpdateInProgress);

    /// <summary>Nobody uses the slots of before any more: the next generation begins.</summary>
    internal void EndUpdate()
    {
        current = new MemslotSnapshot(current.Slots.ToArray(), (current.Generation & ~UpdateInProgress) + 1);
        Changed?.Invoke();
    }

    /// <summary>Adds a slot.</summary>
    /// <param name="gpa">The first guest-physical address; a multiple of 4096.</param>
    /// <param name="size">The size in bytes; a multiple of 4096, and not 0. The slot ends below 2^64.</param>
    /// <param name="host">Where its first byte is mapped, readable and (whatever the flags) writable; a multiple of 4096, and not 0.</param>
    /// <param name="flags">What the slot allows.</param>
    /// <exception cref="MemslotException">EINVAL: an argument is out of range. EEXIST: the range overlaps another slot.</exception>
    public Memslot Add(Gpa gpa, ulong size, Hva host, MemslotFlags flags = MemslotFlags.None)
    {
        CheckRange(gpa, size, host);
        CheckFlags(flags);
        Memslot slot;
        lock (change)
        {
            MemslotSnapshot current = this.current;
            ReadOnlySpan<Memslot> slots = current.Slots;
            int next = current.UpperBound(gpa);
            if (next > 0 && slots[next - 1].Contains(gpa))
            {
                ThrowOverlap(gpa, size, slots[next - 1]);
            }

            if (next < slots.Length && slots[next].Base.Value - gpa.Value < size)
            {
                ThrowOverlap(gpa, size, slots[next]);
            }

            slot = new Memslot(nextId++, gpa, size, host, flags);
            Publish([.. slots[..next], slot, .. slots[next..]]);
        }

        Changed?.Invoke();
        return slot;
    }

    /// <summary>Removes the slot numbered <paramref name="id"/>.</summary>
    /// <exception cref="MemslotException">ENOENT: there is no such slot.</exception>
    public void Remove(int id)
    {
        lock (change)
        {
            ReadOnlySpan<Memslot> slots = current.Slots;
            int index = IndexOf(slots, id);
            Publish([.. slots[..index], .. slots[(index + 1)..]]);
        }

        Changed?.Invoke();
    }

    /// <summary>Changes what the slot numbered <paramref name="id"/> allows. Flags that it has already make no new generation.</summary>
    /// <exception cref="MemslotException">ENOENT: there is no such slot. EINVAL: a flag is unknown.</exception>
    public Memslot SetFlags(int id, MemslotFlags flags)
    {
        CheckFlags(flags);
        Memslot changed;
        lock (change)
        {
            Memslot[] slots = current.Slots.ToArray();
            int index = IndexOf(slots, id);
            if (slots[index].Flags == flags)
            {
                return slots[index];
            }

            changed = slots[index] with { Flags = flags };
            slots[index] = changed;
            Publish(slots);
        }

        Changed?.Invoke();
        return changed;
    }

    /// <summary>Finds the slot that holds <paramref name="gpa"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFind(Gpa gpa, [NotNullWhen(true)] out Memslot? slot) => current.TryFind(gpa, out slot);

    /// <summary>
    /// Finds where the host maps <paramref name="gpa"/>, and whether a guest may write there. False: no slot holds it. A slot being
    /// whole pages, the answer serves the rest of the 4 KiB frame.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTranslate(Gpa gpa, out Hva hva, out bool writable)
    {
        if (current.TryFind(gpa, out Memslot? slot))
        {
            hva = slot.Host + (gpa.Value - slot.Base.Value);
            writable = slot.IsWritable;
            return true;
        }

        hva = default;
        writable = false;
        return false;
    }

    private void Publish(Memslot[] slots) => current = new MemslotSnapshot(slots, current.Generation + 1);

    private static int IndexOf(ReadOnlySpan<Memslot> slots, int id)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            if (slots[i].Id == id)
            {
                return i;
            }
        }

        throw new MemslotException(Errno.ENOENT, string.Create(CultureInfo.InvariantCulture, $"there is no memslot {id}"));
    }

    private static void CheckRange(Gpa gpa, ulong size, Hva host)
    {
        if (size == 0 || ((gpa.Value | size | host.Value) & PageSize.Mask4K) != 0)
        {
            ThrowBadRange(gpa, size, host, "a memslot is one or more whole 4096-byte pages");
        }

        if (gpa.Value + size < gpa.Value)
        {
            ThrowBadRange(gpa, size, host, "a memslot ends below 2^64");
        }

        if (host.Value == 0 || host.Value + size < host.Value)
        {
            ThrowBadRange(gpa, size, host, "a memslot is mapped somewhere in this process");
        }
    }

    private void CheckFlags(MemslotFlags flags)
    {
        if ((flags & ~Accepted) != 0)
        {
            throw new MemslotException(Errno.EINVAL, $"unknown memslot flags {flags}");
        }
    }

    [DoesNotReturn]
    private static void ThrowBadRange(Gpa gpa, ulong size, Hva host, string rule) =>
        throw new MemslotException(Errno.EINVAL, $"no memslot can have 0x{size:x} bytes at {gpa}, mapped at {host}: {rule}");

    [DoesNotReturn]
    private static void ThrowOverlap(Gpa gpa, ulong size, Memslot other) =>
        throw new MemslotException(Errno.EEXIST, $"a memslot at {gpa} of 0x{size:x} bytes overlaps {other}");
}
