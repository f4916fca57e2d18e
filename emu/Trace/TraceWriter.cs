using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Quadwalk.Emulation;

/// <summary>Collects UTF-8 text by hand, without a string on the way, and passes it to a stream in large pieces.</summary>
/// <param name="stream">Where the text goes; null keeps it until <see cref="MoveTo"/>.</param>
internal sealed class TraceWriter(Stream? stream)
{
    private const int Piece = 1 << 17;
    private const int HexWord = 16;

    private byte[] buffer = new byte[stream is null ? 1024 : Piece];
    private int used;
    private long passedOn;

    /// <summary>How many bytes have been written, those passed on included.</summary>
    public long Position => passedOn + used;

    /// <summary>Whether there is nothing to move or flush.</summary>
    public bool IsEmpty => used == 0;

    /// <summary>Forgets what has not been passed on.</summary>
    public void Clear() => used = 0;

    /// <summary>Takes back the last bytes of the last piece of text.</summary>
    public void TakeBack(int length)
    {
        Debug.Assert(length <= used);
        used -= length;
    }

    /// <summary>Writes text as it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(ReadOnlySpan<byte> text)
    {
        text.CopyTo(Reserve(text.Length));
        used += text.Length;
    }

    /// <summary>Writes a string.</summary>
    public void Write(string text)
    {
        int length = Encoding.UTF8.GetBytes(text, Reserve(Encoding.UTF8.GetMaxByteCount(text.Length)));
        used += length;
    }

    /// <summary>Writes one character.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(byte character)
    {
        Reserve(1)[0] = character;
        used++;
    }

    /// <summary>Writes the low digits of a number in hexadecimal.</summary>
    public void Hex(ulong value, int digits)
    {
        Debug.Assert(digits is > 0 and <= HexWord);
        Span<byte> target = Reserve(HexWord)[..digits];
        for (int i = target.Length - 1; i >= 0; i--)
        {
            target[i] = "0123456789abcdef"u8[(int)(value & 0xF)];
            value >>= 4;
        }

        used += digits;
    }

    /// <summary>Writes an address: <c>0x</c> and no leading zeros.</summary>
    public void Address(ulong value)
    {
        Write("0x"u8);
        Hex(value, value == 0 ? 1 : (67 - BitOperations.LeadingZeroCount(value)) / 4);
    }

    /// <summary>Writes a number in decimal.</summary>
    public void Decimal(ulong value)
    {
        bool fits = value.TryFormat(Reserve(20), out int length, default, CultureInfo.InvariantCulture);
        Debug.Assert(fits);
        used += length;
    }

    /// <summary>Moves all text to another writer.</summary>
    public void MoveTo(TraceWriter other)
    {
        other.Write(buffer.AsSpan(0, used));
        used = 0;
    }

    /// <summary>Passes all text to the stream.</summary>
    public void Flush()
    {
        PassOn();
        stream!.Flush();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Span<byte> Reserve(int length)
    {
        if (buffer.Length - used < length)
        {
            MakeRoom(length);
        }

        return buffer.AsSpan(used);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void MakeRoom(int length)
    {
        if (stream is not null && used != 0)
        {
            PassOn();
        }

        if (buffer.Length - used < length)
        {
            Array.Resize(ref buffer, Math.Max(buffer.Length * 2, used + length));
        }
    }

    private void PassOn()
    {
        int length = used;
        used = 0;
        passedOn += length;
        stream!.Write(buffer, 0, length);
    }
}
