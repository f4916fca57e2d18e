using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A range of addresses that a random world maps, unmaps and maps again, always with the same backing.</summary>
/// <param name="Index">Its number; the slot that shows it has the same.</param>
/// <param name="Start">Its first address.</param>
/// <param name="FirstFrame">The guest frame that shows its first page, in a machine whose layout is not shifted.</param>
/// <param name="Pages">How many pages.</param>
/// <param name="Flags">Rights and kind at first.</param>
/// <param name="Backing">What it shows; null: anonymous memory.</param>
internal sealed record WorldRegion(int Index, ulong Start, int FirstFrame, int Pages, VmFlags Flags, VmBacking? Backing)
{
    public MemoryFile? File => Backing as MemoryFile;

    public bool IsAnonymous => Backing is null;

    /// <summary>A private mapping of a file: it shows the file's page or a copy of it, and only the model knows which.</summary>
    public bool IsPrivateFile => File is not null && (Flags & VmFlags.Shared) == 0;

    public Hva Page(int index) => new(Start + ((ulong)index << 12));

    public override string ToString() => Backing?.Name ?? "anonymous";
}
