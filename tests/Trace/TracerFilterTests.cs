using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Ten instructions of one byte each at 0x401000, HLT the last; expected are the last digits of the addresses printed.</summary>
[TestFixture]
public sealed class TracerFilterTests
{
    [TestCase("", 0UL, ulong.MaxValue, 1000UL, "0123456789", StopReason.Halted)]
    [TestCase("0x401002-0x401005", 0UL, ulong.MaxValue, 1000UL, "234", StopReason.Halted)]
    [TestCase("0x401007-0x401008 0x401001-0x401003", 0UL, ulong.MaxValue, 1000UL, "127", StopReason.Halted)]
    [TestCase("0x500000-0x600000", 0UL, ulong.MaxValue, 1000UL, "", StopReason.Halted)]
    [TestCase("", 8UL, ulong.MaxValue, 1000UL, "89", StopReason.Halted)]
    [TestCase("", 10UL, ulong.MaxValue, 1000UL, "", StopReason.Halted)]
    [TestCase("0x401002-0x401007", 2UL, ulong.MaxValue, 1000UL, "456", StopReason.Halted)]
    [TestCase("", 0UL, 3UL, 1000UL, "012", StopReason.Requested)]
    [TestCase("", 2UL, 3UL, 1000UL, "234", StopReason.Requested)]
    [TestCase("0x401005-0x401009", 1UL, 2UL, 1000UL, "67", StopReason.Requested)]
    [TestCase("", 0UL, ulong.MaxValue, 4UL, "0123", StopReason.Limit)]
    [TestCase("0x401002-0x401009", 0UL, ulong.MaxValue, 4UL, "23", StopReason.Limit)]
    public void Filters(string ranges, ulong skip, ulong count, ulong limit, string expected, StopReason reason)
    {
        using TraceGuest guest = Straight();
        TracerOptions options = new() { Ranges = Parse(ranges), Skip = skip, Count = count };

        string trace = guest.Trace(options, limit);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Concat(trace.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line[15])), Is.EqualTo(expected));
            Assert.That(guest.Report?.Reason, Is.EqualTo(reason));
        }
    }

    [Test]
    public void What_belongs_to_an_instruction_that_is_not_printed_is_not_printed()
    {
        string trace = TraceGuest.Trace(
            a =>
            {
                a.mov(ebx, 0xd0000000);
                a.mov(__byte_ptr[rbx + 7], 1);
                a.mov(__byte_ptr[rdi + (int)(TraceGuest.ReadOnly - TraceGuest.Data)], 1);
                a.hlt();
            },
            new TracerOptions { Ranges = Parse("0x401010-0x401011"), Walks = true, Devices = true, Exceptions = true },
            prepare: guest => guest.Handle(ExceptionVector.PageFault));

        Assert.That(trace, Is.EqualTo("0000000000401010: hlt\n"));
    }

    [Test]
    public void A_run_that_stopped_at_its_count_can_go_on()
    {
        using TraceGuest guest = Straight();
        guest.Trace(new TracerOptions { Count = 3 });

        string rest = guest.Trace(new TracerOptions { Count = 1 });

        Assert.That(rest, Is.EqualTo("0000000000401003: nop\n"));
    }

    private static TraceGuest Straight() => new(a =>
    {
        for (int i = 0; i < 9; i++)
        {
            a.nop();
        }

        a.hlt();
    });

    private static TraceRange[] Parse(string ranges) =>
    [
        .. ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text =>
            TraceRange.TryParse(text, SymbolTable.Empty, out TraceRange range, out string? error) ? range : throw new ArgumentException(error)),
    ];
}
