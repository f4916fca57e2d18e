using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>What the modelled kernel would have complained of, or should have.</summary>
public enum KernelEventKind
{
    /// <summary>The kernel touched what is not mapped.</summary>
    Oops,

    /// <summary>A frame was freed that is free already.</summary>
    DoubleFree,

    /// <summary>A frame was freed while somebody maps or pins it.</summary>
    FreedInUse,

    /// <summary>A reference was dropped that nobody held.</summary>
    RefCountUnderflow,

    /// <summary>References of a frame that has none were counted, so that the last put frees what is a driver's.</summary>
    FreedForeignFrame,

    /// <summary>GUP-fast gave a page that the slow way refuses.</summary>
    GupDisagreement,

    /// <summary>A handler of an interrupt ran in a view of memory that is not its own.</summary>
    ForeignView,

    /// <summary>A page table holds what the kernel has not put there (<c>print_bad_pte</c>).</summary>
    BadPageMap,
}

/// <summary>One complaint.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Frame">The frame it is about.</param>
/// <param name="Text">What happened.</param>
public readonly record struct KernelEvent(KernelEventKind Kind, Pfn Frame, string Text)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Kind}: frame {Frame}: {Text}");
}

/// <summary>The complaints of the modelled kernel.</summary>
public sealed class KernelLog
{
    private const int MostKept = 1000;
    private readonly List<KernelEvent> events = [];

    /// <summary>The first thousand.</summary>
    public IReadOnlyList<KernelEvent> Events => events;

    /// <summary>How many there were.</summary>
    public long Count { get; private set; }

    /// <summary>Whether there was one of a kind among those kept.</summary>
    public bool Has(KernelEventKind kind) => events.Exists(found => found.Kind == kind);

    internal void Report(KernelEventKind kind, Pfn frame, string text)
    {
        Count++;
        if (events.Count < MostKept)
        {
            events.Add(new KernelEvent(kind, frame, text));
        }
    }
}
