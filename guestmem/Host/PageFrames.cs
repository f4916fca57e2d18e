using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// The frames of the modelled host: their content, which is one piece of <see cref="HostMemory"/> with frame n at offset 4096 n, and what
/// is known of each. Both cost nothing until they are touched.
/// </summary>
public sealed unsafe class PageFrames : IDisposable
{
    private const ulong WordsPerFrame = PageSize.Size4K / sizeof(ulong);
    private readonly HostMemory memory;
    private readonly bool ownsMemory;
    private readonly ulong* content;
    private PageFrame* frames;

    /// <summary>Makes frames with memory of their own.</summary>
    /// <param name="count">How many; not 0.</param>
    /// <param name="kind">What holds their content.</param>
    /// <exception cref="HostMemoryException">The host has not that much memory.</exception>
    public PageFrames(ulong count, HostMemoryKind kind = HostMemoryKind.Auto)
        : this(HostMemory.Create(count << PageSize.Shift4K, kind))
    {
        ownsMemory = true;
    }

    /// <summary>Makes frames of memory that somebody else disposes, later.</summary>
    /// <param name="memory">Their content.</param>
    public PageFrames(HostMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        this.memory = memory;
        Count = memory.Size >> PageSize.Shift4K;
        content = (ulong*)memory.Base.Value;

        // calloc leaves a large block to the kernel's zero page until it is touched.
        frames = (PageFrame*)NativeMemory.AllocZeroed((nuint)Count, (nuint)sizeof(PageFrame));
    }

    /// <summary>How many there are; they are numbered from 0. None are left after <see cref="Dispose"/>.</summary>
    public ulong Count { get; private set; }

    /// <summary>Their content.</summary>
    public HostMemory Memory => memory;

    /// <summary>What is known of a frame.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public ref PageFrame this[Pfn pfn]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (pfn.Value >= Count)
            {
                ThrowNoFrame(pfn);
            }

            // SAFETY: the index was checked just now, and the array stays until Dispose, which nobody calls beside a use.
            return ref frames[pfn.Value];
        }
    }

    /// <summary>pfn_valid: there is a struct page for the number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsValid(Pfn pfn) => pfn.Value < Count;

    /// <summary>The first frame of the compound page that a frame belongs to; the frame itself if it belongs to none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Pfn HeadOf(Pfn pfn)
    {
        ref PageFrame frame = ref this[pfn];
        return (frame.Flags & FrameFlags.Tail) != 0 ? new Pfn(frame.Index) : pfn;
    }

    /// <summary>What is known of the folio that a frame belongs to.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref PageFrame FolioOf(Pfn pfn) => ref this[HeadOf(pfn)];

    /// <summary>A word of a frame, which holds 512: what a page table has for an entry.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="index">The word's number; its low nine bits count.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ref ulong Word(Pfn pfn, ulong index)
    {
        if (pfn.Value >= Count)
        {
            ThrowNoFrame(pfn);
        }

        // SAFETY: frame and word lie in the memory, which stays until Dispose.
        return ref content[(pfn.Value * WordsPerFrame) + (index & (WordsPerFrame - 1))];
    }

    /// <summary>The bytes of a frame.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public Span<byte> Bytes(Pfn pfn)
    {
        if (pfn.Value >= Count)
        {
            ThrowNoFrame(pfn);
        }

        return memory.Span(pfn.Value << PageSize.Shift4K, (int)PageSize.Size4K);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Count = 0;
        NativeMemory.Free(frames);
        frames = null;
        if (ownsMemory)
        {
            memory.Dispose();
        }
    }

    [DoesNotReturn]
    private void ThrowNoFrame(Pfn pfn) => throw new ArgumentOutOfRangeException(
        nameof(pfn), string.Create(CultureInfo.InvariantCulture, $"there is no frame {pfn}: the host has {Count}"));
}
