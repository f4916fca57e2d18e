using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The processor's slow path to memory: TLB misses, accesses that cross a page, and writes to pages that hold decoded code.
/// </summary>
internal sealed unsafe class ProcessorMemory : IDisposable
{
    private const int ScratchSize = 64;

    private readonly Vcpu vcpu;
    private readonly RamTables tables;

    public ProcessorMemory(Vcpu vcpu, Memslots slots)
    {
        this.vcpu = vcpu;
        tables = new RamTables(slots);
        Slots = slots;
        Scratch = (byte*)NativeMemory.AlignedAlloc(ScratchSize, ScratchSize);
    }

    /// <summary>Where guest-physical memory lies.</summary>
    public Memslots Slots { get; }

    /// <summary>Where a value stands that could not be read or written in one piece.</summary>
    public byte* Scratch { get; private set; }

    /// <summary>Told of every walk when not null.</summary>
    public IWalkListener? WalkListener { get; set; }

    /// <summary>A pointer to the bytes, or to a copy of them; null with the reason recorded.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public byte* ReadSlow(ulong gva, int size)
    {
        int inFirst = BytesInPage(gva);
        byte* first = Translate(gva, AccessKind.Read);
        if (size <= inFirst || first == null)
        {
            return first;
        }

        byte* second = Translate(Beyond(gva, inFirst), AccessKind.Read);
        if (second == null)
        {
            return null;
        }

        Unsafe.CopyBlockUnaligned(Scratch, first, (uint)inFirst);
        Unsafe.CopyBlockUnaligned(Scratch + inFirst, second, (uint)(size - inFirst));
        return Scratch;
    }

    /// <summary>Writes the first bytes of <see cref="Scratch"/>; false with the reason recorded and nothing written.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool WriteSlow(ulong gva, int size)
    {
        int inFirst = BytesInPage(gva);
        byte* first = Translate(gva, AccessKind.Write);
        if (first == null)
        {
            return false;
        }

        if (size <= inFirst)
        {
            Unsafe.CopyBlockUnaligned(first, Scratch, (uint)size);
            vcpu.Frames.Written((ulong)first, size);
            return true;
        }

        byte* second = Translate(Beyond(gva, inFirst), AccessKind.Write);
        if (second == null)
        {
            return false;
        }

        Unsafe.CopyBlockUnaligned(first, Scratch, (uint)inFirst);
        Unsafe.CopyBlockUnaligned(second, Scratch + inFirst, (uint)(size - inFirst));
        vcpu.Frames.Written((ulong)first, inFirst);
        vcpu.Frames.Written((ulong)second, size - inFirst);
        return true;
    }

    /// <summary>
    /// A pointer to bytes that may be written in place, or <see cref="Scratch"/> with a copy that <see cref="WriteSlow"/> will put back.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public byte* ModifySlow(ulong gva, int size)
    {
        int inFirst = BytesInPage(gva);
        byte* first = Translate(gva, AccessKind.Write);
        if (first == null)
        {
            return null;
        }

        if (size <= inFirst)
        {
            if (!vcpu.Frames.HoldCode((ulong)first))
            {
                return first;
            }

            Unsafe.CopyBlockUnaligned(Scratch, first, (uint)size);
            return Scratch;
        }

        byte* second = Translate(Beyond(gva, inFirst), AccessKind.Write);
        if (second == null)
        {
            return null;
        }

        Unsafe.CopyBlockUnaligned(Scratch, first, (uint)inFirst);
        Unsafe.CopyBlockUnaligned(Scratch + inFirst, second, (uint)(size - inFirst));
        return Scratch;
    }

    /// <summary>Whether <paramref name="length"/> bytes could be read, or written; false with the reason recorded.</summary>
    public bool Probe(ulong gva, int length, AccessKind kind)
    {
        int inFirst = BytesInPage(gva);
        return Translate(gva, kind) != null
            && (length <= inFirst || Translate(Beyond(gva, inFirst), kind) != null);
    }

    /// <summary>
    /// The host address of a byte for a data access under the current privilege; null with a fault or an MMIO exit recorded.
    /// </summary>
    public byte* Translate(ulong gva, AccessKind kind)
    {
        ref TlbEntry entry = ref vcpu.Tlb.EntryFor(vcpu.CurrentContext, new Gva(gva));
        ulong tag = kind switch
        {
            AccessKind.Read => entry.ReadTag,
            AccessKind.Write => entry.WriteTag,
            _ => entry.FetchTag,
        };
        if (tag == (gva & ~PageSize.Mask4K))
        {
            return (byte*)((nint)gva + entry.Addend);
        }

        if (kind != AccessKind.Execute)
        {
            vcpu.Counters.DataMisses++;
        }

        return Miss(gva, new WalkAccess(kind, vcpu.State.Cpl == 3));
    }

    /// <summary>
    /// The host address of a byte for an access of any privilege, such as the implicit ones to descriptors and the TSS; null with a
    /// fault or an MMIO exit recorded. Of these only implicit reads are cached.
    /// </summary>
    public byte* TranslateFor(ulong gva, WalkAccess access)
    {
        WalkResult walk = Walk(gva, access);
        if (!walk.Succeeded)
        {
            vcpu.Raise(walk, gva);
            return null;
        }

        byte* host = Host(walk.Gpa, access.Kind, out _);
        if (host != null && access is { Implicit: true, Kind: AccessKind.Read })
        {
            Hva frame = new((ulong)host & ~PageSize.Mask4K);
            vcpu.Tlb.Fill(TlbContext.Supervisor, new Gva(gva), frame, walk, read: true, write: false, fetch: false);
        }

        return host;
    }

    /// <summary>Walks the guest's tables, telling the listener if there is one.</summary>
    public WalkResult Walk(ulong gva, WalkAccess access)
    {
        vcpu.Counters.Walks++;
        RamTables memory = tables;
        if (WalkListener is null)
        {
            NoWalkObserver none = default;
            return PageWalker.Walk(ref memory, vcpu.Paging, new Gva(gva), access, ref none);
        }

        return WalkReported(WalkListener, ref memory, vcpu.Paging, new Gva(gva), access);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Scratch);
        Scratch = null;
    }

    /// <summary>Walks with every entry reported.</summary>
    public static WalkResult WalkReported<TTables>(IWalkListener listener, ref TTables memory, in PagingState paging, Gva gva, WalkAccess access)
        where TTables : struct, ITableMemory
    {
        ListeningObserver observer = new(listener);
        listener.OnWalkBegin(gva, access);
        WalkResult result = PageWalker.Walk(ref memory, paging, gva, access, ref observer);
        listener.OnWalkEnd(gva, access, result);
        return result;
    }

    private byte* Miss(ulong gva, WalkAccess access)
    {
        vcpu.Counters.TlbMisses++;
        WalkResult walk = Walk(gva, access);
        if (!walk.Succeeded)
        {
            vcpu.Raise(walk, gva);
            return null;
        }

        byte* host = Host(walk.Gpa, access.Kind, out bool writableSlot);
        if (host == null)
        {
            return null;
        }

        Hva frame = new((ulong)host & ~PageSize.Mask4K);
        PagingState paging = vcpu.Paging;
        bool writable = writableSlot && (walk.Rights & PageRights.Dirty) != 0 && !vcpu.Frames.HoldCode(frame.Value)
            && Allows(walk, paging, access with { Kind = AccessKind.Write });
        bool readable = access.Kind != AccessKind.Execute
            || Allows(walk, paging, access with { Kind = AccessKind.Read });
        bool fetchable = access.Kind == AccessKind.Execute;
        vcpu.Tlb.Fill(vcpu.CurrentContext, new Gva(gva), frame, walk, readable, writable, fetchable);
        return host;
    }

    private static bool Allows(in WalkResult walk, in PagingState paging, WalkAccess access) =>
        (PageRules.Check(walk.Rights, paging, access) | PageRules.CheckKey(walk.Rights, walk.Entry, paging, access)) == WalkFailure.None;

    private byte* Host(Gpa gpa, AccessKind kind, out bool writable)
    {
        if (Slots.TryTranslate(gpa, out Hva hva, out writable) && (writable || kind != AccessKind.Write))
        {
            return (byte*)hva.Value;
        }

        vcpu.ExitForMmio();
        return null;
    }

    private ulong Beyond(ulong gva, int inFirst) => (gva + (ulong)inFirst) & vcpu.LinearMask;

    private static int BytesInPage(ulong gva) => (int)(PageSize.Size4K - (gva & PageSize.Mask4K));
}
