namespace Quadwalk.Mmu;

/// <summary>The pages of an address space that hold one guest frame: 4 KiB pages, and larger ones that it is part of.</summary>
public sealed class FrameMappings
{
    private readonly Func<GvaRange, IEnumerable<MappedPage>> pages;
    private readonly Func<GvaRange, ulong> count;
    private readonly Func<bool> isComplete;

    internal FrameMappings(Func<GvaRange, IEnumerable<MappedPage>> pages, Func<GvaRange, ulong> count, Func<bool> isComplete)
    {
        this.pages = pages;
        this.count = count;
        this.isComplete = isComplete;
    }

    /// <summary>Whether all tables were looked at by the calls so far. If not, there may be more mappings.</summary>
    public bool IsComplete => isComplete();

    /// <summary>The pages in a window, in ascending order, found as they are read.</summary>
    public IEnumerable<MappedPage> Pages(GvaRange window) => pages(window);

    /// <summary>How many <see cref="Pages"/> gives; exact, and found without listing them.</summary>
    public ulong Count(GvaRange window) => count(window);
}
