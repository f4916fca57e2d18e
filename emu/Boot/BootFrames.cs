using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Hands out RAM from one end of a range to the other. Positions are offsets into RAM, which knows no device hole.</summary>
internal sealed class BootFrames(ulong start, ulong end)
{
    /// <summary>Where an image that does not say so itself begins; below it lies what legacy firmware would own.</summary>
    public const ulong Start = PageSize.Size2M;

    private ulong next = start;

    /// <summary>The first unused address; the end of its bank when nothing is left.</summary>
    public Gpa FirstFree => next == end ? FreeEnd : GpaOf(next);

    /// <summary>The end of the unused RAM that is contiguous with <see cref="FirstFree"/>.</summary>
    public Gpa FreeEnd => GpaOf((next < PhysicalLayout.DeviceHole ? Math.Min(end, PhysicalLayout.DeviceHole) : end) - 1) + 1;

    /// <summary>The frame at an offset into RAM.</summary>
    public static Gpa GpaOf(ulong offset) =>
        new(offset < PhysicalLayout.DeviceHole ? offset : offset + PhysicalLayout.HoleBytes);

    /// <summary>The next frame, or null at the end.</summary>
    public Gfn? TakeFrame() => next == end ? null : TakeExtent(PageSize.Size4K).Gpa.Frame;

    /// <summary>Frames for a number of bytes: in one piece, or in two where the device hole parts them.</summary>
    public IEnumerable<(Gpa Gpa, ulong Length)> Take(ulong bytes)
    {
        for (ulong left = bytes; left != 0;)
        {
            (Gpa Gpa, ulong Length) extent = TakeExtent(left);
            left -= extent.Length;
            yield return extent;
        }
    }

    private (Gpa Gpa, ulong Length) TakeExtent(ulong wanted)
    {
        Gpa gpa = GpaOf(next);
        ulong bank = next < PhysicalLayout.DeviceHole ? PhysicalLayout.DeviceHole : ulong.MaxValue;
        ulong length = Math.Min(wanted, bank - next);
        next += length;
        return (gpa, length);
    }
}
