using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Feeds Iced from a run of bytes in memory.</summary>
internal sealed unsafe class GuestCodeReader : CodeReader
{
    // SAFETY: the caller of Reset vouches for the range until the next Reset.
    private byte* next;
    private byte* end;

    /// <summary>Starts over at a run of bytes.</summary>
    public void Reset(byte* start, int length)
    {
        next = start;
        end = start + length;
    }

    /// <inheritdoc/>
    public override int ReadByte() => next < end ? *next++ : -1;
}
