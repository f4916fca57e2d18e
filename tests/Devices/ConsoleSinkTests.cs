using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class ConsoleSinkTests
{
    [TestCase(false, 8, "abc", 0)]
    [TestCase(false, 8, "abc\n", 0)]
    [TestCase(true, 8, "abc\nd", 4)]
    [TestCase(false, 4, "abcdefg", 4)]
    [TestCase(false, 1, "ab", 2)]
    public void It_writes_out_when_full_or_after_a_line_and_all_at_a_flush(bool flushLines, int capacity, string text, int early)
    {
        var stream = new MemoryStream();
        var sink = new ConsoleSink(stream, flushLines, capacity);

        sink.Write(System.Text.Encoding.ASCII.GetBytes(text));
        long before = stream.Length;
        sink.Flush();
        sink.Flush();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(before, Is.EqualTo(early));
            Assert.That(System.Text.Encoding.ASCII.GetString(stream.ToArray()), Is.EqualTo(text));
            Assert.That(sink.BytesWritten, Is.EqualTo((ulong)text.Length));
        }
    }
}
