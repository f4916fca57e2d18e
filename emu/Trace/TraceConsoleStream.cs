namespace Quadwalk.Emulation;

/// <summary>
/// A console for a machine whose output stands in the trace, as lines <c>console: text</c>: give it to <see cref="MachineOptions.Console"/>,
/// with <see cref="MachineOptions.FlushLines"/> so that a line stands after the instruction that ended it, and to the <see cref="Tracer"/>.
/// </summary>
/// <remarks>Bytes that are not printable ASCII stand as <c>\xNN</c>, a backslash as two. A line is cut after 4096 bytes.</remarks>
public sealed class TraceConsoleStream : Stream
{
    private const int LongestLine = 4096;

    private readonly byte[] line = new byte[LongestLine];
    private int length;

    /// <summary>The lines complete so far.</summary>
    internal TraceWriter Lines { get; } = new(null);

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        foreach (byte character in buffer)
        {
            if (character == '\n')
            {
                EndLine();
                continue;
            }

            line[length++] = character;
            if (length == LongestLine)
            {
                EndLine();
            }
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Ends a line that the guest left open.</summary>
    internal void Finish()
    {
        if (length != 0)
        {
            EndLine();
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    private void EndLine()
    {
        Lines.Write("console: "u8);
        foreach (byte character in line.AsSpan(0, length))
        {
            WriteCharacter(character);
        }

        Lines.Write((byte)'\n');
        length = 0;
    }

    private void WriteCharacter(byte character)
    {
        if (character is < 0x20 or > 0x7e)
        {
            Lines.Write("\\x"u8);
            Lines.Hex(character, 2);
            return;
        }

        Lines.Write(character == '\\' ? "\\\\"u8 : [character]);
    }
}
