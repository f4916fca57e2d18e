using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What <c>quadwalk mem</c> found: one of three lists, read as it is written, and how long it would be without a limit.</summary>
internal sealed record MemFindings
{
    public required PagingState State { get; init; }

    /// <summary>The addresses asked for; null for all.</summary>
    public GvaRange? Window { get; init; }

    /// <summary>The ranges, unless pages or mappings were asked for.</summary>
    public IEnumerable<MappedRange>? Ranges { get; private init; }

    /// <summary>The pages, if those were asked for.</summary>
    public IEnumerable<MappedPage>? Pages { get; private init; }

    /// <summary>The pages that hold <see cref="Frame"/>, if those were asked for.</summary>
    public IEnumerable<MappedPage>? Mappings { get; private init; }

    /// <summary>The frame whose mappings were asked for.</summary>
    public FramePlace? Frame { get; private init; }

    /// <summary>What is mapped at the addresses asked for.</summary>
    public MapCounts Counts { get; private init; } = new(0, default, true);

    /// <summary>How long the list is without a limit.</summary>
    public ulong Total { get; private init; }

    /// <summary>The most that is listed.</summary>
    public ulong Limit { get; private init; }

    /// <summary>How much of the list is left out.</summary>
    public ulong LeftOut => Total - Math.Min(Total, Limit);

    /// <summary>Whether every table was looked at.</summary>
    public bool IsComplete => Completeness();

    private Func<bool> Completeness { get; init; } = () => true;

    public static MemFindings Of<TTables>(
        TTables tables, in PagingState state, MemWindow? window, MemOptions options, Func<Gpa, FramePlace> place)
        where TTables : struct, ITableMemory
    {
        FramePlace? frame = options.Frame is { } gpa ? place(gpa.Frame.Address) : null;
        MemFindings empty = new() { State = state, Window = window?.Range, Limit = options.Limit, Frame = frame };
        if (state.Mode == PagingMode.None)
        {
            return frame is not null ? empty with { Mappings = [] } : options.Pages ? empty with { Pages = [] } : empty with { Ranges = [] };
        }

        AddressSpaceMap map = AddressSpaceMap.Of(tables, state);
        GvaRange range = window?.Within(map) ?? GvaRange.All;
        if (frame is not null)
        {
            FrameMappings mappings = map.MappingsOf(frame.Address.Frame);
            return empty with
            {
                Completeness = () => mappings.IsComplete,
                Window = window is null ? null : range,
                Mappings = Limited(mappings.Pages(range), options.Limit),
                Total = mappings.Count(range),
            };
        }

        MapCounts counts = map.Count(range);
        MemFindings found = empty with { Completeness = () => counts.IsComplete, Window = window is null ? null : range, Counts = counts };
        if (options.Pages)
        {
            return found with { Pages = Limited(map.Pages(range), options.Limit), Total = counts.Pages.Total };
        }

        IEnumerable<MappedRange> ranges = window is not { IsPoint: true } ? map.Ranges(range)
            : map.RangeAt(range.First) is { } one ? [one] : [];
        return found with { Ranges = Limited(ranges, options.Limit), Total = counts.Ranges };
    }

    private static IEnumerable<T> Limited<T>(IEnumerable<T> items, ulong limit) => items.Take((int)Math.Min(limit, int.MaxValue));
}
