using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// A processor's cache of guest-physical mappings (SDM Vol. 3C, section 29.4.1): direct-mapped, with large pages by their 2 MiB and small ones
/// by their 4 KiB. It is dropped whenever the machine zaps.
/// </summary>
internal sealed unsafe class GuestPhysicalCache : IDisposable
{
    private const int Count = 256;
    private const int LargeShift = PageSize.Shift2M;

    private readonly MachineSecondStage stage;
    private GuestPhysicalMapping* large;
    private GuestPhysicalMapping* small;

    public GuestPhysicalCache(MachineSecondStage stage)
    {
        this.stage = stage;
        large = (GuestPhysicalMapping*)NativeMemory.AlignedAlloc(2 * Count * (nuint)sizeof(GuestPhysicalMapping), 64);
        small = large + Count;
        Drop();
        stage.Attach(this);
    }

    // SAFETY: indices are below Count, and both arrays have Count mappings until Dispose. Host addresses come from mappings of memslots,
    // which are dropped before their memory goes.

    /// <summary>Where a byte lies that is read or fetched; false: no memslot is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(Gpa gpa, in SecondStageAccess access, out byte* host)
    {
        GuestPhysicalMapping* mapping = large + ((gpa.Value >> LargeShift) & (Count - 1));
        if (gpa.Value - mapping->First < mapping->Size)
        {
            host = (byte*)(gpa.Value + mapping->Addend);
            return true;
        }

        return TryResolve(gpa, access, out host, out _);
    }

    /// <summary>Where a byte lies that is accessed, and whether it may be written; false: no memslot allows the access.</summary>
    public bool TryTranslate(Gpa gpa, in SecondStageAccess access, out byte* host, out bool writable)
    {
        GuestPhysicalMapping* mapping = large + ((gpa.Value >> LargeShift) & (Count - 1));
        if (Answers(mapping, gpa, access))
        {
            host = (byte*)(gpa.Value + mapping->Addend);
            writable = mapping->WritableSize != 0;
            return true;
        }

        return TryResolve(gpa, access, out host, out writable);
    }

    /// <summary>Forgets everything.</summary>
    public void Drop() => NativeMemory.Clear(large, 2 * Count * (nuint)sizeof(GuestPhysicalMapping));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (large != null)
        {
            stage.Detach(this);
            NativeMemory.AlignedFree(large);
            large = null;
            small = null;
        }
    }

    private static bool Answers(GuestPhysicalMapping* mapping, Gpa gpa, in SecondStageAccess access) =>
        gpa.Value - mapping->First < (access.Access.Kind == AccessKind.Write ? mapping->WritableSize : mapping->Size);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryResolve(Gpa gpa, in SecondStageAccess access, out byte* host, out bool writable)
    {
        GuestPhysicalMapping* mapping = small + ((gpa.Value >> PageSize.Shift4K) & (Count - 1));
        if (!Answers(mapping, gpa, access))
        {
            if (!stage.TryResolve(gpa, access, out GuestPhysicalMapping found))
            {
                host = null;
                writable = false;
                return false;
            }

            if (found.Size != PageSize.Size4K)
            {
                mapping = large + ((gpa.Value >> LargeShift) & (Count - 1));
            }

            *mapping = found;
        }

        host = (byte*)(gpa.Value + mapping->Addend);
        writable = mapping->WritableSize != 0;
        return true;
    }
}
