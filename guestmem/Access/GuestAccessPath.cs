using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// A way in which the hypervisor reaches a modelled guest's memory. The ways differ in how a page is opened and closed; cutting at pages,
/// copying, and what makes an access whole or nothing, they have in common.
/// </summary>
/// <remarks>
/// An access opens all its pages before the first byte moves. Where several bytes of a range cannot be reached, the lowest decides the status.
/// A copy takes one tick of the host's clock for each page. What would have to wait for another party in the middle of something fails with
/// <see cref="Errno.EAGAIN"/>; as operations, by <see cref="ReadSteps"/> and <see cref="WriteSteps"/>, accesses wait.
/// </remarks>
public abstract class GuestAccessPath : IGuestMemoryAccess
{
    private const int MostHeld = 8;

    private protected AccessLedger costs;
    private readonly GuestHold[] holds = new GuestHold[MostHeld];

    private protected GuestAccessPath(Kvm vm)
    {
        ArgumentNullException.ThrowIfNull(vm);
        Vm = vm;
    }

    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <summary>The guest.</summary>
    public Kvm Vm { get; }

    /// <summary>What accesses have cost.</summary>
    public ref readonly AccessLedger Ledger => ref costs;

    /// <summary>Why the last access failed: <see cref="Errno.EFAULT"/> where there is no memslot or it is read-only, too. None after a success.</summary>
    public Errno LastError { get; private protected set; }

    /// <summary>What the hypervisor allows its host.</summary>
    public HypervisorPolicy Policy { get; init; } = HypervisorPolicy.Kvm;

    internal HostKernel Kernel => Vm.Kernel;

    /// <summary>Whether the path looks a frame up and copies afterwards; the other walks and copies at once.</summary>
    internal abstract bool GoesByFrame { get; }

    /// <summary>The bits of what shows a frame to the path.</summary>
    internal abstract ulong ShowBits { get; }

    /// <summary>What the path does with a page, in the policy's words.</summary>
    internal abstract HostUse Use { get; }

    /// <inheritdoc/>
    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination)
    {
        if (destination.Length > PagesLeft(gpa))
        {
            return Across(gpa, destination, default, destination.Length);
        }

        GuestHold hold = default;
        GuestAccessStatus status = Begin(gpa, destination.Length, write: false, ref hold);
        if (status == GuestAccessStatus.Success && !destination.IsEmpty)
        {
            CopyOut(hold, gpa.PageOffset, destination);
            Close(ref hold, write: false);
        }

        return status;
    }

    /// <inheritdoc/>
    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source)
    {
        if (source.Length > PagesLeft(gpa))
        {
            return Across(gpa, default, source, source.Length);
        }

        GuestHold hold = default;
        GuestAccessStatus status = Begin(gpa, source.Length, write: true, ref hold);
        if (status == GuestAccessStatus.Success && !source.IsEmpty)
        {
            CopyIn(hold, gpa.PageOffset, source);
            Close(ref hold, write: true);
        }

        return status;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The address is not a multiple of 8.</exception>
    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value)
    {
        CheckAligned(gpa);
        value = 0;
        GuestHold hold = default;
        GuestAccessStatus status = Begin(gpa, sizeof(ulong), write: false, ref hold);
        if (status == GuestAccessStatus.Success)
        {
            value = Volatile.Read(ref Word(hold, gpa));
            Copied(ref costs.BytesRead, sizeof(ulong));
            Close(ref hold, write: false);
        }

        return status;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The address is not a multiple of 8.</exception>
    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed)
    {
        CheckAligned(gpa);
        observed = 0;
        GuestHold hold = default;
        GuestAccessStatus status = Begin(gpa, sizeof(ulong), write: true, ref hold);
        if (status == GuestAccessStatus.Success)
        {
            observed = Interlocked.CompareExchange(ref Word(hold, gpa), desired, expected);
            Copied(ref costs.BytesWritten, sizeof(ulong));
            Close(ref hold, write: true);
        }

        return status;
    }

    /// <summary>A read of bytes of one page, step by step.</summary>
    /// <param name="gpa">Where.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <exception cref="ArgumentException">The bytes do not lie in one page.</exception>
    public HostOperation<GuestAccessStatus> ReadSteps(Gpa gpa, Memory<byte> destination) => new GuestAccessOperation(this, gpa, destination, write: false);

    /// <summary>A write of bytes of one page, step by step.</summary>
    /// <param name="gpa">Where.</param>
    /// <param name="source">The bytes.</param>
    /// <exception cref="ArgumentException">The bytes do not lie in one page.</exception>
    public HostOperation<GuestAccessStatus> WriteSteps(Gpa gpa, ReadOnlyMemory<byte> source) => new GuestAccessOperation(this, gpa, source.ToArray(), write: true);

    /// <summary>Gets a page at hand; what it takes is undone by <see cref="ClosePage"/>. A failure leaves nothing to undo.</summary>
    internal abstract Errno OpenPage(ref GuestHold hold, bool write);

    /// <summary>Lets a page go.</summary>
    internal abstract void ClosePage(ref GuestHold hold, bool write);

    /// <summary>As <see cref="OpenPage"/>, step by step; where the path does not go by the frame, the copy belongs to the last step's piece.</summary>
    internal abstract IEnumerable<Step> OpenSteps(GuestAccessOperation access);

    /// <summary>As <see cref="ClosePage"/>, step by step.</summary>
    internal abstract IEnumerable<Step> CloseSteps(GuestAccessOperation access);

    /// <summary>The bytes of a page at hand.</summary>
    internal virtual Span<byte> Bytes(in GuestHold hold) => Kernel.Frames.Bytes(hold.Frame);

    /// <summary>The slot's part of opening a page.</summary>
    internal GuestAccessStatus FindSlot(Gpa gpa, bool write, ref GuestHold hold)
    {
        if (!Vm.Slots.TryFind(gpa, out Memslot? slot))
        {
            return Failed(GuestAccessStatus.NoSlot, Errno.EFAULT);
        }

        if (slot.IsInvalid)
        {
            return Failed(GuestAccessStatus.Fault, Errno.EFAULT);
        }

        if (write && !slot.IsWritable)
        {
            return Failed(GuestAccessStatus.ReadOnlySlot, Errno.EFAULT);
        }

        hold.Slot = slot;
        hold.Gfn = gpa.Frame;

        // KVM's own policy needs no look: what it forbids, the look-ups of the paths refuse.
        return Policy == HypervisorPolicy.Kvm || Policy.Allows(Policy.StateOf(Vm, slot, gpa.Frame), Use)
            ? GuestAccessStatus.Success
            : Failed(GuestAccessStatus.Fault, Errno.EFAULT);
    }

    internal GuestAccessStatus Failed(GuestAccessStatus status, Errno error)
    {
        LastError = error;
        costs.Failures++;
        return status;
    }

    internal void BeginAccess()
    {
        costs.Accesses++;
        LastError = Errno.None;
    }

    internal void CopyOut(in GuestHold hold, int offset, Span<byte> destination)
    {
        Bytes(hold).Slice(offset, destination.Length).CopyTo(destination);
        Copied(ref costs.BytesRead, destination.Length);
    }

    internal void CopyIn(in GuestHold hold, int offset, ReadOnlySpan<byte> source)
    {
        source.CopyTo(Bytes(hold)[offset..]);
        Copied(ref costs.BytesWritten, source.Length);
    }

    private void Copied(ref long counter, int bytes)
    {
        counter += bytes;
        Kernel.Clock.Tick();
    }

    private GuestAccessStatus Begin(Gpa gpa, int length, bool write, ref GuestHold hold)
    {
        BeginAccess();
        return length == 0 ? GuestAccessStatus.Success : Open(gpa, write, ref hold);
    }

    private GuestAccessStatus Open(Gpa gpa, bool write, ref GuestHold hold)
    {
        GuestAccessStatus status = FindSlot(gpa, write, ref hold);
        if (status != GuestAccessStatus.Success)
        {
            return status;
        }

        Errno error = OpenPage(ref hold, write);
        return error == Errno.None ? GuestAccessStatus.Success : Failed(GuestAccessStatus.Fault, error);
    }

    private void Close(ref GuestHold hold, bool write) => ClosePage(ref hold, write);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private GuestAccessStatus Across(Gpa gpa, Span<byte> destination, ReadOnlySpan<byte> source, int length)
    {
        bool write = destination.IsEmpty;
        BeginAccess();
        GuestAccessStatus status = Check(gpa, length, write);
        for (int done = 0; status == GuestAccessStatus.Success && done < length;)
        {
            int part = Math.Min(length - done, (MostHeld * (int)PageSize.Size4K) - gpa.PageOffset);
            status = write ? AcrossHeld(gpa, default, source.Slice(done, part), part) : AcrossHeld(gpa, destination.Slice(done, part), default, part);
            done += part;
            gpa += (ulong)part;
        }

        return status;
    }

    // A range of more pages than are held at a time is opened page by page first: so it fails, if it does, before a byte moves.
    private GuestAccessStatus Check(Gpa gpa, int length, bool write)
    {
        GuestAccessStatus status = GuestAccessStatus.Success;
        if (length <= (MostHeld * (int)PageSize.Size4K) - gpa.PageOffset)
        {
            return status;
        }

        for (long left = length + (long)gpa.PageOffset; status == GuestAccessStatus.Success && left > 0; left -= (long)PageSize.Size4K)
        {
            GuestHold hold = default;
            status = Open(gpa, write, ref hold);
            if (status == GuestAccessStatus.Success)
            {
                Close(ref hold, write: false);
            }

            gpa = gpa.Frame.Address + PageSize.Size4K;
        }

        return status;
    }

    private GuestAccessStatus AcrossHeld(Gpa gpa, Span<byte> destination, ReadOnlySpan<byte> source, int length)
    {
        bool write = destination.IsEmpty;
        int pages = (gpa.PageOffset + length + (int)PageSize.Mask4K) >> PageSize.Shift4K;
        GuestAccessStatus status = GuestAccessStatus.Success;
        int opened = 0;
        for (Gpa at = gpa; opened < pages; at = at.Frame.Address + PageSize.Size4K, opened++)
        {
            holds[opened] = default;
            status = Open(at, write, ref holds[opened]);
            if (status != GuestAccessStatus.Success)
            {
                break;
            }
        }

        int done = 0;
        for (int i = 0; i < pages && status == GuestAccessStatus.Success; i++)
        {
            int offset = i == 0 ? gpa.PageOffset : 0;
            int part = Math.Min(length - done, (int)PageSize.Size4K - offset);
            if (write)
            {
                CopyIn(holds[i], offset, source.Slice(done, part));
            }
            else
            {
                CopyOut(holds[i], offset, destination.Slice(done, part));
            }

            done += part;
        }

        for (int i = opened - 1; i >= 0; i--)
        {
            Close(ref holds[i], write && status == GuestAccessStatus.Success);
        }

        return status;
    }

    private ref ulong Word(in GuestHold hold, Gpa gpa) => ref Unsafe.As<byte, ulong>(ref Bytes(hold)[gpa.PageOffset]);

    private static int PagesLeft(Gpa gpa) => (int)PageSize.Size4K - gpa.PageOffset;

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
