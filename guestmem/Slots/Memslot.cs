using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>A range of guest-physical addresses and where the host maps it. Immutable; a change makes another one of the same number.</summary>
/// <param name="Id">Its number, which no later slot of the same <see cref="Memslots"/> gets.</param>
/// <param name="Base">The first guest-physical address; a multiple of 4096.</param>
/// <param name="Size">The size in bytes; a multiple of 4096, and not 0.</param>
/// <param name="Host">Where the first byte is mapped.</param>
/// <param name="Flags">What the slot allows.</param>
public sealed record Memslot(int Id, Gpa Base, ulong Size, Hva Host, MemslotFlags Flags)
{
    /// <summary>The first guest-physical address after the slot.</summary>
    public Gpa End => Base + Size;

    /// <summary>Whether a guest may write here.</summary>
    public bool IsWritable => (Flags & MemslotFlags.ReadOnly) == 0;

    /// <summary>Whether guest writes are logged.</summary>
    public bool LogsDirty => (Flags & MemslotFlags.LogDirtyPages) != 0;

    /// <summary>About to go or to move.</summary>
    public bool IsInvalid => (Flags & MemslotFlags.Invalid) != 0;

    /// <summary>How many frames it has.</summary>
    public ulong Pages => Size >> PageSize.Shift4K;

    /// <summary>Whether <paramref name="gpa"/> lies in the slot.</summary>
    public bool Contains(Gpa gpa) => gpa.Value - Base.Value < Size;

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"memslot {Id}: {Base}..0x{End.Value - 1:x} at {Host}{(IsWritable ? "" : ", read-only")}");
}
