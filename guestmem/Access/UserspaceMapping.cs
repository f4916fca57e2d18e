using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// Reaches guest memory through the addresses at which the hypervisor process maps it, as KVM does with <c>copy_from_user</c> on
/// the memslot's host-virtual address. It needs the memory mapped in userspace, and neither maps nor unmaps anything.
/// </summary>
/// <remarks>
/// Where several bytes of a range cannot be reached, the lowest decides the status. An access of no bytes succeeds anywhere.
/// Copies are not atomic as a whole; a reader may see half of one that another thread makes.
/// </remarks>
public sealed unsafe class UserspaceMapping(Memslots slots) : IGuestMemoryAccess
{
    // SAFETY, for all of this class: a memslot promises Size mapped bytes at Host, a copy stays inside slots that one snapshot
    // holds, and who unmaps the memory first removes its slots and stops the processors (HostMemory).

    /// <inheritdoc/>
    public string Name => "userspace";

    /// <inheritdoc/>
    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination)
    {
        MemslotSnapshot current = slots.Current;
        if (!current.TryFind(gpa, out Memslot? slot))
        {
            return destination.IsEmpty ? GuestAccessStatus.Success : GuestAccessStatus.NoSlot;
        }

        if (Rest(slot, gpa) >= (ulong)destination.Length)
        {
            new ReadOnlySpan<byte>(At(slot, gpa), destination.Length).CopyTo(destination);
            return GuestAccessStatus.Success;
        }

        return ReadAcross(current, gpa, destination);
    }

    /// <inheritdoc/>
    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source)
    {
        MemslotSnapshot current = slots.Current;
        if (!current.TryFind(gpa, out Memslot? slot))
        {
            return source.IsEmpty ? GuestAccessStatus.Success : GuestAccessStatus.NoSlot;
        }

        if (Rest(slot, gpa) >= (ulong)source.Length && slot.IsWritable)
        {
            source.CopyTo(new Span<byte>(At(slot, gpa), source.Length));
            return GuestAccessStatus.Success;
        }

        return WriteAcross(current, gpa, source);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The address is not a multiple of 8.</exception>
    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value)
    {
        CheckAligned(gpa);
        if (!slots.TryTranslate(gpa, out Hva hva, out _))
        {
            value = 0;
            return GuestAccessStatus.NoSlot;
        }

        value = Volatile.Read(ref *(ulong*)hva.Value);
        return GuestAccessStatus.Success;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The address is not a multiple of 8.</exception>
    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed)
    {
        CheckAligned(gpa);
        observed = 0;
        if (!slots.TryTranslate(gpa, out Hva hva, out bool writable))
        {
            return GuestAccessStatus.NoSlot;
        }

        if (!writable)
        {
            return GuestAccessStatus.ReadOnlySlot;
        }

        observed = Interlocked.CompareExchange(ref *(ulong*)hva.Value, desired, expected);
        return GuestAccessStatus.Success;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static GuestAccessStatus ReadAcross(MemslotSnapshot current, Gpa gpa, Span<byte> destination)
    {
        GuestAccessStatus status = Check(current, gpa, destination.Length, write: false);
        while (status == GuestAccessStatus.Success && !destination.IsEmpty && current.TryFind(gpa, out Memslot? slot))
        {
            int length = (int)Math.Min(Rest(slot, gpa), (ulong)destination.Length);
            new ReadOnlySpan<byte>(At(slot, gpa), length).CopyTo(destination);
            destination = destination[length..];
            gpa += (ulong)length;
        }

        return status;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static GuestAccessStatus WriteAcross(MemslotSnapshot current, Gpa gpa, ReadOnlySpan<byte> source)
    {
        GuestAccessStatus status = Check(current, gpa, source.Length, write: true);
        while (status == GuestAccessStatus.Success && !source.IsEmpty && current.TryFind(gpa, out Memslot? slot))
        {
            int length = (int)Math.Min(Rest(slot, gpa), (ulong)source.Length);
            source[..length].CopyTo(new Span<byte>(At(slot, gpa), length));
            source = source[length..];
            gpa += (ulong)length;
        }

        return status;
    }

    private static GuestAccessStatus Check(MemslotSnapshot current, Gpa gpa, int length, bool write)
    {
        for (ulong left = (ulong)length; left != 0;)
        {
            if (!current.TryFind(gpa, out Memslot? slot))
            {
                return GuestAccessStatus.NoSlot;
            }

            if (write && !slot.IsWritable)
            {
                return GuestAccessStatus.ReadOnlySlot;
            }

            ulong step = Math.Min(Rest(slot, gpa), left);
            left -= step;
            gpa += step;
        }

        return GuestAccessStatus.Success;
    }

    private static ulong Rest(Memslot slot, Gpa gpa) => slot.Size - (gpa.Value - slot.Base.Value);

    private static byte* At(Memslot slot, Gpa gpa) => (byte*)(slot.Host.Value + (gpa.Value - slot.Base.Value));

    private static void CheckAligned(Gpa gpa)
    {
        if ((gpa.Value & 7) != 0)
        {
            ThrowMisaligned(gpa);
        }
    }

    [DoesNotReturn]
    private static void ThrowMisaligned(Gpa gpa) =>
        throw new ArgumentException($"a 64-bit word at {gpa} is not naturally aligned, so no access to it is atomic", nameof(gpa));
}
