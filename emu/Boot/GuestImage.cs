using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A program to boot: where its bytes go, where it starts, and in which ring.</summary>
public abstract class GuestImage
{
    private protected GuestImage(Gva entry, IReadOnlyList<ImageSegment> segments, int ring, SymbolTable symbols)
    {
        Entry = entry;
        Segments = segments;
        Ring = ring;
        Symbols = symbols;
    }

    /// <summary>The address of the first instruction; it lies in an executable segment.</summary>
    public Gva Entry { get; }

    /// <summary>
    /// The segments in ascending order of address. They are canonical, do not overlap, and fit in the RAM the image was
    /// parsed for; they may share 4 KiB pages.
    /// </summary>
    public IReadOnlyList<ImageSegment> Segments { get; }

    /// <summary>The privilege level to start in: 0 or 3.</summary>
    public int Ring { get; }

    /// <summary>The names of addresses; empty when the image carries none.</summary>
    public SymbolTable Symbols { get; }
}
