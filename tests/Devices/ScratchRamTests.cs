using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class ScratchRamTests
{
    [TestCase(0, 1)]
    [TestCase(1, 2)]
    [TestCase(4093, 3)]
    [TestCase(5, 8)]
    [TestCase(8, 16)]
    [TestCase(100, 32)]
    [TestCase(4032, 64)]
    public void It_holds_and_logs_accesses_of_any_width(int offset, int width)
    {
        var ram = new ScratchRam();
        byte[] value = [.. Enumerable.Range(1, width).Select(i => (byte)i)];
        byte[] read = new byte[width];

        ram.Write((ulong)offset, value);
        ram.Read((ulong)offset, read);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.EqualTo(value));
            Assert.That(ram.Contents.Slice(offset, width).ToArray(), Is.EqualTo(value));
            Assert.That(
                ram.CopyLog().Select(a => (a.Sequence, a.Offset, Convert.ToHexString(a.Bytes.Span), a.IsWrite)),
                Is.EqualTo(new[]
                {
                    (0UL, (ulong)offset, Convert.ToHexString(value), true), (1UL, (ulong)offset, Convert.ToHexString(value), false),
                }));
        }
    }

    [TestCase(0, 5, new ulong[0])]
    [TestCase(3, 2, new ulong[] { 0, 1 })]
    [TestCase(3, 3, new ulong[] { 0, 1, 2 })]
    [TestCase(3, 5, new ulong[] { 2, 3, 4 })]
    public void The_log_keeps_the_latest_accesses(int capacity, int accesses, ulong[] kept)
    {
        var ram = new ScratchRam(16, capacity);
        for (int i = 0; i < accesses; i++)
        {
            ram.Write((ulong)i, [(byte)i]);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ram.AccessCount, Is.EqualTo((ulong)accesses));
            Assert.That(ram.CopyLog().Select(a => a.Sequence), Is.EqualTo(kept));
            Assert.That(ram.CopyLog().Select(a => (ulong)a.Bytes.Span[0]), Is.EqualTo(kept));
        }
    }
}
