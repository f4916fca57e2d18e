using System.Text;

namespace Quadwalk.Cli;

/// <summary>Bytes on their way to a writer of text, as UTF-8.</summary>
internal sealed class TextStream(TextWriter target) : OutputStream(Null)
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        char[] text = new char[Encoding.UTF8.GetMaxCharCount(buffer.Length)];
        target.Write(text, 0, decoder.GetChars(buffer, text, flush: false));
    }
}
