using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The hypervisor's way to guest memory while it emulates an instruction: its own page walk, with the tables and the data
/// read through the chosen access path, and the device bus where no memslot answers.
/// </summary>
internal sealed unsafe class HypervisorMemory(Vcpu vcpu, Memslots slots, IGuestMemoryAccess access, MmioBus bus) : IDisposable
{
    private const int ScratchSize = 64;

    /// <summary>Where ports stand in the journal: above all guest-physical addresses.</summary>
    private const ulong PortSpace = 1UL << 63;

    private readonly UserspaceMapping? userspace = access as UserspaceMapping;
    private readonly MmioJournal journal = new(vcpu.StatePointer);
    private Pieces modified;
    private GeneralRegisters registers;
    private LazyFlags flags;
    private bool hasSnapshot;
    private bool emulating;
    private ulong begun;
    private BlockExit refusal;

    /// <summary>Where the bytes of the current access stand.</summary>
    public byte* Scratch { get; private set; } = (byte*)NativeMemory.AlignedAlloc(ScratchSize, ScratchSize);

    /// <summary>What kept the last instruction from being emulated; null: nothing did, or a device asked for a retry.</summary>
    public EmulationFailure? Failure { get; private set; }

    /// <summary>Whether the instruction at RIP was begun and had to wait, so that it goes on before anything else happens.</summary>
    public bool IsSuspended => journal.IsSuspended && journal.Matches(vcpu.Counters.Instructions);

    /// <summary>Reads into <see cref="Scratch"/>; false with a fault recorded.</summary>
    public bool Read(ulong gva, int size)
    {
        return TryResolve(gva, size, AccessKind.Read, out Pieces pieces) && ReadPieces(pieces);
    }

    /// <summary>Writes <see cref="Scratch"/>: every page is resolved before the first byte moves; false with a fault recorded.</summary>
    public bool Write(ulong gva, int size)
    {
        return TryResolve(gva, size, AccessKind.Write, out Pieces pieces) && WritePieces(pieces);
    }

    /// <summary>
    /// Reads into <see cref="Scratch"/> what <see cref="WriteBack"/> is going to write; false with a fault recorded.
    /// </summary>
    public bool ReadForWrite(ulong gva, int size)
    {
        TakeSnapshot();
        return TryResolve(gva, size, AccessKind.Write, out modified) && ReadPieces(modified);
    }

    /// <summary>
    /// Writes <see cref="Scratch"/> where <see cref="ReadForWrite"/> read: a device's read may have changed the page tables since.
    /// </summary>
    /// <remarks>The instruction goes on as if it could not fail: <see cref="End"/> takes it back where it did.</remarks>
    public void WriteBack() => WritePieces(modified);

    /// <summary>
    /// Whether the pages may be read, or written, and what memory they are can be reached; false with a fault or a refusal recorded.
    /// </summary>
    public bool Probe(ulong gva, int size, AccessKind kind)
    {
        for (int done = 0; done < size;)
        {
            int inPage = Math.Min(size - done, (int)(PageSize.Size4K - ((gva + (ulong)done) & PageSize.Mask4K)));
            if (!TryTranslate((gva + (ulong)done) & vcpu.LinearMask, kind, out Gpa gpa) || !IsReachable(gpa, kind))
            {
                return false;
            }

            done += inPage;
        }

        return true;
    }

    /// <summary>
    /// Reads instruction bytes of one page; false with a fault recorded. Bytes that the path cannot reach are #UD and a
    /// <see cref="Failure"/>.
    /// </summary>
    public bool Fetch(ulong rip, Span<byte> destination)
    {
        if (!TryTranslate(rip, AccessKind.Execute, out Gpa gpa))
        {
            return false;
        }

        GuestAccessStatus status = access.Read(gpa, destination);
        if (status == GuestAccessStatus.Success)
        {
            return true;
        }

        Failure = new EmulationFailure(EmulationFailureKind.Fetch, begun, vcpu.State.Cpl, gpa, destination.Length, AccessKind.Execute, status);
        vcpu.Counters.EmulationFailures++;
        return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.FetchFromNowhere, rip);
    }

    /// <summary>
    /// What the processor fetched itself and supplies with the exit, as SVM's decode assists do: the bytes of one page; false where it has none.
    /// </summary>
    public bool TryTakeSupplied(ulong rip, Span<byte> destination)
    {
        byte* bytes = vcpu.Memory.Translate(rip, AccessKind.Execute);
        if (bytes == null)
        {
            return false;
        }

        new ReadOnlySpan<byte>(bytes, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>
    /// A port's input for an instruction that has yet to store it: where the instruction began before and had to wait, what it read then.
    /// </summary>
    public uint ReadPort(ushort port, int width)
    {
        if (!emulating)
        {
            return vcpu.Ports.Read(port, width);
        }

        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Gpa place = new(PortSpace | port);
        if (journal.TryReplayRead(place, bytes))
        {
            return MemoryMarshal.Read<uint>(bytes);
        }

        uint value = vcpu.Ports.Read(port, width);
        MemoryMarshal.Write(bytes, value);
        journal.Add(place, bytes, isWrite: false);
        return value;
    }

    /// <summary>An instruction is about to be emulated.</summary>
    public void Begin()
    {
        emulating = true;
        begun = vcpu.State.Rip;
        Failure = null;
        refusal = BlockExit.Branch;
        hasSnapshot = false;
        journal.Begin(vcpu.Counters.Instructions);
    }

    /// <summary>Nothing waits any more: the processor was reset.</summary>
    public void Forget() => journal.Forget();

    public void Dispose()
    {
        NativeMemory.AlignedFree(Scratch);
        Scratch = null;
    }

    /// <summary>
    /// To be called after the instruction: where a write that could not fail has failed, takes back what the instruction did to registers
    /// since, and answers how it ends.
    /// </summary>
    public BlockExit End(BlockExit exit)
    {
        emulating = false;
        if (refusal == BlockExit.Branch)
        {
            return exit;
        }

        if (hasSnapshot)
        {
            vcpu.State.Gpr = registers;
            vcpu.State.Flags = flags;
        }

        vcpu.State.Rip = begun;
        journal.Suspend(vcpu.Counters.Instructions);
        return refusal;
    }

    private bool ReadPieces(in Pieces pieces) =>
        ReadPiece(pieces.First, 0, pieces.FirstLength)
        && (pieces.FirstLength == pieces.Size || ReadPiece(pieces.Second, pieces.FirstLength, pieces.Size - pieces.FirstLength));

    private bool WritePieces(in Pieces pieces) =>
        pieces.FirstLength == pieces.Size ? WritePiece(pieces.First, 0, pieces.Size) : WriteSplit(pieces);

    private bool ReadPiece(Gpa gpa, int offset, int length)
    {
        Span<byte> part = new(Scratch + offset, length);
        GuestAccessStatus status = access.Read(gpa, part);
        if (status == GuestAccessStatus.Success)
        {
            return true;
        }

        if (status == GuestAccessStatus.Fault)
        {
            return ReadUnreachable(gpa, part);
        }

        MmioOutcome outcome = bus.Read(gpa, part, journal, out Gpa refused);
        return outcome == MmioOutcome.Done || Refuse(outcome, refused, length, AccessKind.Read);
    }

    private bool WritePiece(Gpa gpa, int offset, int length)
    {
        GuestAccessStatus status = WriteMemory(gpa, offset, length);
        return status == GuestAccessStatus.Success || WriteElsewhere(status, gpa, offset, length);
    }

    private GuestAccessStatus WriteMemory(Gpa gpa, int offset, int length)
    {
        GuestAccessStatus status = access.Write(gpa, new ReadOnlySpan<byte>(Scratch + offset, length));
        if (status == GuestAccessStatus.Success && slots.TryTranslate(gpa, out Hva hva, out _))
        {
            vcpu.Frames.Written(hva.Value, length);
        }

        return status;
    }

    /// <summary>Writes what is no memory to devices, and what cannot be reached to who answers for it.</summary>
    private bool WriteElsewhere(GuestAccessStatus status, Gpa gpa, int offset, int length)
    {
        ReadOnlySpan<byte> part = new(Scratch + offset, length);
        if (status == GuestAccessStatus.Fault)
        {
            return WriteUnreachable(gpa, part);
        }

        MmioOutcome outcome = bus.Write(gpa, part, journal, out Gpa refused);
        return outcome == MmioOutcome.Done || Refuse(outcome, refused, length, AccessKind.Write);
    }

    /// <summary>
    /// Writes to two pages: to memory before devices, which take nothing back. Where one part cannot be written, the other becomes what it was.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool WriteSplit(in Pieces pieces)
    {
        int rest = pieces.Size - pieces.FirstLength;
        Span<byte> before = stackalloc byte[ScratchSize];
        Span<byte> firstBefore = before[..pieces.FirstLength], secondBefore = before[pieces.FirstLength..pieces.Size];
        GuestAccessStatus first = Exchange(pieces.First, 0, firstBefore);
        GuestAccessStatus second = Exchange(pieces.Second, pieces.FirstLength, secondBefore);
        bool isFirstMemory = first == GuestAccessStatus.Success, isSecondMemory = second == GuestAccessStatus.Success;
        bool reaches = (first != GuestAccessStatus.Fault || HasUser(pieces.First, pieces.FirstLength, AccessKind.Write))
            && (second != GuestAccessStatus.Fault || HasUser(pieces.Second, rest, AccessKind.Write));
        if (reaches
            && (isFirstMemory || WriteElsewhere(first, pieces.First, 0, pieces.FirstLength))
            && (isSecondMemory || WriteElsewhere(second, pieces.Second, pieces.FirstLength, rest)))
        {
            return true;
        }

        if (isFirstMemory)
        {
            _ = access.Write(pieces.First, firstBefore);
        }

        if (isSecondMemory)
        {
            _ = access.Write(pieces.Second, secondBefore);
        }

        return false;
    }

    /// <summary>Whether somebody answers for memory out of reach; false with the refusal recorded.</summary>
    private bool HasUser(Gpa gpa, int width, AccessKind wanted) =>
        bus.UnreachableMemory is not null || Refuse(EmulationFailureKind.Memory, gpa, width, wanted, GuestAccessStatus.Fault);

    /// <summary>Writes a part to memory, if it is memory, and gives what stood there.</summary>
    private GuestAccessStatus Exchange(Gpa gpa, int offset, Span<byte> before)
    {
        GuestAccessStatus status = access.Read(gpa, before);
        return status == GuestAccessStatus.Success ? WriteMemory(gpa, offset, before.Length) : status;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool ReadUnreachable(Gpa gpa, Span<byte> part)
    {
        if (!HasUser(gpa, part.Length, AccessKind.Read))
        {
            return false;
        }

        if (journal.TryReplayRead(gpa, part))
        {
            return true;
        }

        MmioOutcome outcome = bus.ReadPiece(bus.UnreachableMemory, gpa, gpa.Value, part);
        if (outcome != MmioOutcome.Done)
        {
            return Refuse(outcome, gpa, part.Length, AccessKind.Read);
        }

        journal.Add(gpa, part, isWrite: false);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool WriteUnreachable(Gpa gpa, ReadOnlySpan<byte> part)
    {
        if (!HasUser(gpa, part.Length, AccessKind.Write))
        {
            return false;
        }

        if (journal.TryReplayWrite(gpa, part))
        {
            return true;
        }

        MmioOutcome outcome = bus.WritePiece(bus.UnreachableMemory, gpa, gpa.Value, part);
        if (outcome != MmioOutcome.Done)
        {
            return Refuse(outcome, gpa, part.Length, AccessKind.Write);
        }

        journal.Add(gpa, part, isWrite: true);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool Refuse(MmioOutcome outcome, Gpa gpa, int width, AccessKind kind)
    {
        if (outcome == MmioOutcome.Failed)
        {
            return Refuse(EmulationFailureKind.Device, gpa, width, kind, GuestAccessStatus.NoSlot);
        }

        refusal = BlockExit.Retry;
        vcpu.PendingExit = BlockExit.Retry;
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool Refuse(EmulationFailureKind kind, Gpa gpa, int width, AccessKind wanted, GuestAccessStatus status)
    {
        Failure = new EmulationFailure(kind, begun, vcpu.State.Cpl, gpa, width, wanted, status);
        vcpu.Counters.EmulationFailures++;
        refusal = BlockExit.Refused;
        vcpu.PendingExit = BlockExit.Refused;
        return false;
    }

    private void TakeSnapshot()
    {
        registers = vcpu.State.Gpr;
        flags = vcpu.State.Flags;
        hasSnapshot = true;
    }

    private bool TryResolve(ulong gva, int size, AccessKind kind, out Pieces pieces)
    {
        int inFirst = Math.Min(size, (int)(PageSize.Size4K - (gva & PageSize.Mask4K)));
        Gpa second = default;
        bool resolved = TryTranslate(gva, kind, out Gpa first)
            && (inFirst == size || TryTranslate((gva + (ulong)inFirst) & vcpu.LinearMask, kind, out second));
        pieces = new Pieces(first, second, inFirst, size);
        return resolved;
    }

    private bool IsReachable(Gpa gpa, AccessKind kind)
    {
        byte first = 0;
        return access.Read(gpa, new Span<byte>(ref first)) != GuestAccessStatus.Fault || HasUser(gpa, 1, kind);
    }

    private bool TryTranslate(ulong gva, AccessKind kind, out Gpa gpa)
    {
        vcpu.Counters.Walks++;
        WalkAccess wanted = new(kind, vcpu.State.Cpl == 3);
        WalkResult walk;
        if (vcpu.Memory.WalkListener is IWalkListener listener)
        {
            AccessTables<AnyPath> memory = new(new AnyPath(access));
            walk = ProcessorMemory.WalkReported(listener, ref memory, vcpu.Paging, new Gva(gva), wanted);
        }
        else if (userspace is not null)
        {
            NoWalkObserver none = default;
            AccessTables<UserspaceWalk> memory = new(new UserspaceWalk(userspace));
            walk = PageWalker.Walk(ref memory, vcpu.Paging, new Gva(gva), wanted, ref none);
        }
        else
        {
            NoWalkObserver none = default;
            AccessTables<AnyPath> memory = new(new AnyPath(access));
            walk = PageWalker.Walk(ref memory, vcpu.Paging, new Gva(gva), wanted, ref none);
        }

        gpa = walk.Gpa;
        return walk.Succeeded || vcpu.Raise(walk, gva, wanted);
    }

    private readonly record struct Pieces(Gpa First, Gpa Second, int FirstLength, int Size);
}
