namespace Quadwalk.GuestMemory;

/// <summary>Which way the bytes of a bounced buffer go.</summary>
[Flags]
public enum BounceDirection
{
    /// <summary>The device reads: the buffer is copied into the window when it is mapped.</summary>
    ToDevice = 1,

    /// <summary>The device writes: the window is copied into the buffer when it is unmapped.</summary>
    FromDevice = 2,
}

/// <summary>
/// A guest's swiotlb (<c>kernel/dma/swiotlb.c</c>): a part of its memory that it shares with the host, through which it copies what devices
/// read and write. The host's devices reach the window and nothing else.
/// </summary>
public sealed class BounceWindow : IGuestMemoryAccess
{
    /// <summary>The bytes of a slot (IO_TLB_SIZE).</summary>
    public const int SlotSize = 2048;

    /// <summary>The most slots of one buffer (IO_TLB_SEGSIZE).</summary>
    public const int MostSlots = 128;

    private readonly Kvm vm;
    private readonly IGuestMemoryAccess path;
    private readonly Gpa start;
    private readonly ulong size;
    private readonly int[] lengths;
    private readonly Dictionary<int, (Gpa Buffer, int Length, BounceDirection Direction)> mapped = [];
    private AccessLedger costs;

    /// <summary>Makes a guest's memslot its window.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="slot">The memslot.</param>
    /// <param name="path">How the host's devices reach the window.</param>
    public BounceWindow(Kvm vm, Memslot slot, IGuestMemoryAccess path)
    {
        ArgumentNullException.ThrowIfNull(vm);
        ArgumentNullException.ThrowIfNull(slot);
        ArgumentNullException.ThrowIfNull(path);
        (this.vm, this.path, start, size) = (vm, path, slot.Base, slot.Size);
        lengths = new int[(int)(slot.Size / SlotSize)];
    }

    /// <inheritdoc/>
    public string Name => "bounce";

    /// <summary>Accesses of devices, and bytes that the guest has copied for them.</summary>
    public ref readonly AccessLedger Ledger => ref costs;

    /// <summary>Buffers that are mapped now.</summary>
    public int MappedBuffers => mapped.Count;

    /// <summary>swiotlb_tbl_map_single: gives a buffer of the guest's a place in the window.</summary>
    /// <param name="buffer">The buffer.</param>
    /// <param name="length">Its bytes: 1 or more.</param>
    /// <param name="direction">Which way its bytes go.</param>
    /// <param name="bounced">Where devices find it.</param>
    /// <returns>EINVAL for a length that no buffer can have; ENOMEM where the window has no room; EFAULT where the guest does not reach the buffer.</returns>
    public Errno TryMap(Gpa buffer, int length, BounceDirection direction, out Gpa bounced)
    {
        bounced = default;
        if (length <= 0 || length > MostSlots * SlotSize || (direction & (BounceDirection.ToDevice | BounceDirection.FromDevice)) == 0)
        {
            return Errno.EINVAL;
        }

        int wanted = (length + SlotSize - 1) / SlotSize;
        int slot = FindRoom(wanted);
        if (slot < 0)
        {
            return Errno.ENOMEM;
        }

        Gpa place = start + ((ulong)slot * SlotSize);

        // Also what the device alone writes is copied in, so that it cannot leave bytes of an earlier buffer where it writes less.
        Errno error = GuestCopy(buffer, place, length);
        if (error != Errno.None)
        {
            return error;
        }

        lengths.AsSpan(slot, wanted).Fill(wanted);
        mapped[slot] = (buffer, length, direction);
        bounced = place;
        return Errno.None;
    }

    /// <summary>swiotlb_tbl_unmap_single: copies back what the device has written, and frees the place.</summary>
    /// <param name="bounced">What <see cref="TryMap"/> gave.</param>
    /// <returns>ENOENT where nothing is mapped; EFAULT where the guest does not reach the buffer any more: the place is freed all the same.</returns>
    public Errno Unmap(Gpa bounced)
    {
        int slot = (int)Math.Min((bounced.Value - start.Value) / SlotSize, (ulong)lengths.Length);
        if (start + ((ulong)slot * SlotSize) != bounced || !mapped.Remove(slot, out (Gpa Buffer, int Length, BounceDirection Direction) buffer))
        {
            return Errno.ENOENT;
        }

        lengths.AsSpan(slot, lengths[slot]).Clear();
        return (buffer.Direction & BounceDirection.FromDevice) != 0 ? GuestCopy(bounced, buffer.Buffer, buffer.Length) : Errno.None;
    }

    /// <inheritdoc/>
    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination) =>
        Admit(gpa, destination.Length) ? Done(path.Read(gpa, destination), ref costs.BytesRead, destination.Length) : GuestAccessStatus.Fault;

    /// <inheritdoc/>
    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source) =>
        Admit(gpa, source.Length) ? Done(path.Write(gpa, source), ref costs.BytesWritten, source.Length) : GuestAccessStatus.Fault;

    /// <inheritdoc/>
    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value)
    {
        value = 0;
        return Admit(gpa, sizeof(ulong)) ? Done(path.ReadUInt64(gpa, out value), ref costs.BytesRead, sizeof(ulong)) : GuestAccessStatus.Fault;
    }

    /// <inheritdoc/>
    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed)
    {
        observed = 0;
        return Admit(gpa, sizeof(ulong))
            ? Done(path.CompareExchangeUInt64(gpa, expected, desired, out observed), ref costs.BytesWritten, sizeof(ulong))
            : GuestAccessStatus.Fault;
    }

    private bool Admit(Gpa gpa, int length)
    {
        costs.Accesses++;
        ulong offset = gpa.Value - start.Value;
        bool inside = offset <= size && (ulong)length <= size - offset;
        costs.Failures += inside ? 0 : 1;
        return inside;
    }

    private GuestAccessStatus Done(GuestAccessStatus status, ref long counter, int length)
    {
        bool done = status == GuestAccessStatus.Success;
        counter += done ? length : 0;
        costs.Failures += done ? 0 : 1;
        return status;
    }

    private int FindRoom(int wanted)
    {
        for (int slot = 0, free = 0; slot < lengths.Length; slot++)
        {
            free = lengths[slot] == 0 ? free + 1 : 0;
            if (free == wanted)
            {
                return slot - wanted + 1;
            }
        }

        return -1;
    }

    // The guest's own copy, by its second stage: no access of the host's.
    private Errno GuestCopy(Gpa from, Gpa to, int length)
    {
        Span<byte> bytes = stackalloc byte[SlotSize];
        while (length > 0)
        {
            int part = Math.Min(Math.Min(length, SlotSize), (int)PageSize.Size4K - Math.Max(from.PageOffset, to.PageOffset));
            Span<byte> piece = bytes[..part];
            if (!(vm.TryGuestRead(from, piece) || (FaultIn(from, write: false) && vm.TryGuestRead(from, piece)))
                || !(vm.TryGuestWrite(to, piece) || (FaultIn(to, write: true) && vm.TryGuestWrite(to, piece))))
            {
                return Errno.EFAULT;
            }

            costs.BytesBounced += part;
            (from, to, length) = (from + (ulong)part, to + (ulong)part, length - part);
        }

        return Errno.None;
    }

    private bool FaultIn(Gpa gpa, bool write) =>
        new StageTwoFault(vm, gpa, write, asPrivate: vm.Attributes.IsPrivate(gpa.Frame)).Run() == StageTwoOutcome.Fixed;
}
