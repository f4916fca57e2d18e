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
    private readonly GuestPhysicalCache mappings;

    public ProcessorMemory(Vcpu vcpu, MachineSecondStage secondStage)
    {
        this.vcpu = vcpu;
        mappings = new GuestPhysicalCache(secondStage);
        Slots = secondStage.Slots;
        Scratch = (byte*)NativeMemory.AlignedAlloc(ScratchSize, ScratchSize);
    }

    /// <summary>Where guest-physical memory lies.</summary>
    public Memslots Slots { get; }

    /// <summary>The guest's tables as this processor reads them.</summary>
    public RamTables Tables => new(mappings);

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

        return Miss(gva, new WalkAccess(kind, vcpu.State.Cpl == 3));
    }

    /// <summary>
    /// The host address of a byte for an access of any privilege, such as the implicit ones to descriptors and the TSS; null with a
    /// fault or an MMIO exit recorded. Host addresses are cached for implicit reads only.
    /// </summary>
    public byte* TranslateFor(ulong gva, WalkAccess access)
    {
        TlbContext context = access is { User: true, Implicit: false } ? TlbContext.User : TlbContext.Supervisor;
        if (!TryTranslate(gva, access, vcpu.Paging, context, out WalkResult walk))
        {
            return null;
        }

        byte* host = Host(walk, access, out _);
        if (host != null && access is { Implicit: true, Kind: AccessKind.Read } && vcpu.Tlb.Mode == TlbMode.Fast && !MeansTwoAddresses(gva))
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
        RamTables memory = Tables;
        if (WalkListener is null)
        {
            NoWalkObserver none = default;
            return PageWalker.Walk(ref memory, vcpu.Paging, new Gva(gva), access, ref none);
        }

        return WalkReported(WalkListener, ref memory, vcpu.Paging, new Gva(gva), access);
    }

    /// <summary>By the TLB, else by a walk; false with the fault recorded.</summary>
    private bool TryTranslate(ulong gva, WalkAccess access, in PagingState paging, TlbContext context, out WalkResult walk)
    {
        Gva linear = paging.Untag(new Gva(gva), access);
        if (vcpu.Tlb.Mode != TlbMode.Fast)
        {
            walk = TranslateExactly(linear, access, paging, context);
        }
        else if (!vcpu.Tlb.TryFind(linear, access, paging, context, out walk))
        {
            CountMiss(access);
            walk = Walk(gva, access);
            vcpu.Tlb.CountWalk(walk, paging);
            if (walk.Succeeded)
            {
                vcpu.Tlb.Keep(linear, walk, paging, context);
            }
        }

        return walk.Succeeded || vcpu.Raise(walk, gva, access);
    }

    /// <summary>By the TLB as an architecture has it.</summary>
    private WalkResult TranslateExactly(Gva gva, WalkAccess access, in PagingState paging, TlbContext context)
    {
        TlbStatistics statistics = vcpu.Tlb.Statistics;
        ulong walksBefore = statistics.Walks;
        RamTables memory = Tables;
        StaleTranslation? stale;
        WalkResult walk;
        if (WalkListener is null)
        {
            NoWalkObserver none = default;
            walk = vcpu.Tlb.Translate(ref memory, paging, gva, access, context, ref none, out stale);
        }
        else
        {
            DeferredObserver observer = new(WalkListener, gva, access);
            walk = vcpu.Tlb.Translate(ref memory, paging, gva, access, context, ref observer, out stale);
            observer.End(walk);
        }

        if (statistics.Walks != walksBefore)
        {
            vcpu.Counters.Walks += statistics.Walks - walksBefore;
            CountMiss(access);
        }

        if (stale is not null)
        {
            vcpu.ReportStale(stale);
        }

        return walk;
    }

    private void CountMiss(WalkAccess access)
    {
        vcpu.Counters.TlbMisses++;
        vcpu.Counters.DataMisses += access is { Kind: AccessKind.Execute } or { Implicit: true } ? 0UL : 1UL;
    }

    public void Dispose()
    {
        mappings.Dispose();
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

    /// <summary>
    /// Resolves an access of the current privilege for an engine that keeps translations of its own; false with a fault or an MMIO exit recorded.
    /// What <paramref name="page"/> allows holds until the TLB's epoch, the privilege or the protection keys change.
    /// </summary>
    public bool TryResolve(ulong gva, AccessKind kind, out ResolvedPage page)
    {
        WalkAccess access = new(kind, vcpu.State.Cpl == 3);
        ref readonly PagingState paging = ref vcpu.Paging;
        page = default;
        if (!TryTranslate(gva, access, paging, vcpu.CurrentContext, out WalkResult walk))
        {
            return false;
        }

        byte* host = Host(walk, access, out bool writablePage);
        if (host == null)
        {
            return false;
        }

        bool keeps = !MeansTwoAddresses(gva);
        page = new ResolvedPage(walk.Gpa, (ulong)host, Rights(walk, paging, access, (ulong)host, writablePage), keeps);
        return true;
    }

    private byte* Miss(ulong gva, WalkAccess access)
    {
        ref readonly PagingState paging = ref vcpu.Paging;
        if (!TryTranslate(gva, access, paging, vcpu.CurrentContext, out WalkResult walk))
        {
            return null;
        }

        byte* host = Host(walk, access, out bool writablePage);
        if (host == null || vcpu.Tlb.Mode != TlbMode.Fast || MeansTwoAddresses(gva))
        {
            return host;
        }

        Hva frame = new((ulong)host & ~PageSize.Mask4K);
        (bool readable, bool writable) = Rights(walk, paging, access, frame.Value, writablePage);
        bool fetchable = access.Kind == AccessKind.Execute;
        Gva linear = paging.Untag(new Gva(gva), access);
        vcpu.Tlb.Fill(vcpu.CurrentContext, new Gva(gva), linear, frame, walk, readable, writable, fetchable);
        return host;
    }

    /// <summary>What a translation that was found for one access allows beside it.</summary>
    private (bool Readable, bool Writable) Rights(in WalkResult walk, in PagingState paging, WalkAccess access, ulong frame, bool writablePage)
    {
        bool writable = writablePage && (walk.Rights & PageRights.Dirty) != 0 && !vcpu.Frames.HoldCode(frame)
            && Allows(walk, paging, access with { Kind = AccessKind.Write });
        bool readable = access.Kind != AccessKind.Execute
            || Allows(walk, paging, access with { Kind = AccessKind.Read });
        return (readable, writable);
    }

    /// <summary>
    /// Whether fetches and implicit accesses reach one page at an address, and data accesses, masked, another: with CR4.LA57 and CR3.LAM_U48. The
    /// TLB has one entry for both, so it caches neither.
    /// </summary>
    private bool MeansTwoAddresses(ulong gva)
    {
        ref readonly PagingState paging = ref vcpu.Paging;
        return paging.Untag(new Gva(gva), new WalkAccess(AccessKind.Read, User: false)).Value != gva && paging.IsCanonical(new Gva(gva));
    }

    private static bool Allows(in WalkResult walk, in PagingState paging, WalkAccess access) =>
        (PageRules.Check(walk.Rights, paging, access) | PageRules.CheckKey(walk.Rights, walk.Entry, paging, access)) == WalkFailure.None;

    private byte* Host(in WalkResult walk, WalkAccess access, out bool writable)
    {
        if (mappings.TryTranslate(walk.Gpa, SecondStageAccess.Final(access, walk.Rights), out byte* host, out writable))
        {
            return host;
        }

        vcpu.ExitForMmio();
        return null;
    }

    private ulong Beyond(ulong gva, int inFirst) => (gva + (ulong)inFirst) & vcpu.LinearMask;

    private static int BytesInPage(ulong gva) => (int)(PageSize.Size4K - (gva & PageSize.Mask4K));
}
