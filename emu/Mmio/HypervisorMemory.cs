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

    private readonly AccessTables<IGuestMemoryAccess> tables = new(access);
    private Pieces modified;

    /// <summary>Where the bytes of the current access stand.</summary>
    public byte* Scratch { get; private set; } = (byte*)NativeMemory.AlignedAlloc(ScratchSize, ScratchSize);

    /// <summary>The access path.</summary>
    public IGuestMemoryAccess Access => access;

    /// <summary>Reads into <see cref="Scratch"/>; false with a fault recorded.</summary>
    public bool Read(ulong gva, int size)
    {
        if (!TryResolve(gva, size, AccessKind.Read, out Pieces pieces))
        {
            return false;
        }

        ReadPieces(pieces);
        return true;
    }

    /// <summary>Writes <see cref="Scratch"/>: every page is resolved before the first byte moves; false with a fault recorded.</summary>
    public bool Write(ulong gva, int size)
    {
        if (!TryResolve(gva, size, AccessKind.Write, out Pieces pieces))
        {
            return false;
        }

        WritePieces(pieces);
        return true;
    }

    /// <summary>
    /// Reads into <see cref="Scratch"/> what <see cref="WriteBack"/> is going to write; false with a fault recorded.
    /// </summary>
    public bool ReadForWrite(ulong gva, int size)
    {
        if (!TryResolve(gva, size, AccessKind.Write, out modified))
        {
            return false;
        }

        ReadPieces(modified);
        return true;
    }

    /// <summary>
    /// Writes <see cref="Scratch"/> where <see cref="ReadForWrite"/> read: a device's read may have changed the page tables since.
    /// </summary>
    public void WriteBack() => WritePieces(modified);

    /// <summary>Whether the pages may be read, or written; false with a fault recorded.</summary>
    public bool Probe(ulong gva, int size, AccessKind kind) => TryResolve(gva, size, kind, out _);

    /// <summary>Reads instruction bytes of one page; false with a fault recorded.</summary>
    public bool Fetch(ulong rip, Span<byte> destination)
    {
        if (!TryTranslate(rip, AccessKind.Execute, out Gpa gpa))
        {
            return false;
        }

        return access.Read(gpa, destination) == GuestAccessStatus.Success
            || vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.FetchFromNowhere, rip);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Scratch);
        Scratch = null;
    }

    private void ReadPieces(in Pieces pieces)
    {
        ReadPiece(pieces.First, 0, pieces.FirstLength);
        ReadPiece(pieces.Second, pieces.FirstLength, pieces.Size - pieces.FirstLength);
    }

    private void WritePieces(in Pieces pieces)
    {
        WritePiece(pieces.First, 0, pieces.FirstLength);
        WritePiece(pieces.Second, pieces.FirstLength, pieces.Size - pieces.FirstLength);
    }

    private void ReadPiece(Gpa gpa, int offset, int length)
    {
        if (length == 0)
        {
            return;
        }

        Span<byte> part = new(Scratch + offset, length);
        if (access.Read(gpa, part) != GuestAccessStatus.Success)
        {
            bus.Read(gpa, part);
        }
    }

    private void WritePiece(Gpa gpa, int offset, int length)
    {
        if (length == 0)
        {
            return;
        }

        ReadOnlySpan<byte> part = new(Scratch + offset, length);
        if (access.Write(gpa, part) != GuestAccessStatus.Success)
        {
            bus.Write(gpa, part);
        }
        else if (slots.TryTranslate(gpa, out Hva hva, out _))
        {
            vcpu.Frames.Written(hva.Value, length);
        }
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

    private bool TryTranslate(ulong gva, AccessKind kind, out Gpa gpa)
    {
        vcpu.Counters.Walks++;
        WalkAccess wanted = new(kind, vcpu.State.Cpl == 3);
        AccessTables<IGuestMemoryAccess> memory = tables;
        WalkResult walk;
        if (vcpu.Memory.WalkListener is IWalkListener listener)
        {
            walk = ProcessorMemory.WalkReported(listener, ref memory, vcpu.Paging, new Gva(gva), wanted);
        }
        else
        {
            NoWalkObserver none = default;
            walk = PageWalker.Walk(ref memory, vcpu.Paging, new Gva(gva), wanted, ref none);
        }

        gpa = walk.Gpa;
        return walk.Succeeded || vcpu.Raise(walk, gva, wanted);
    }

    private readonly record struct Pieces(Gpa First, Gpa Second, int FirstLength, int Size);
}
