using System.Globalization;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The PC16550D data sheet as scripts: <c>w r v</c> writes, <c>r r v</c> reads and expects, <c>in</c> queues, <c>line</c> receives now.</summary>
[TestFixture]
public sealed class Uart16550Tests
{
    [TestCase("r1 00", Description = "table III: IER")]
    [TestCase("r2 01", Description = "table III: IIR")]
    [TestCase("r3 00", Description = "table III: LCR")]
    [TestCase("r4 00", Description = "table III: MCR")]
    [TestCase("r5 60", Description = "table III: LSR")]
    [TestCase("r6 b0", Description = "table III: MSR, its high half from the lines")]
    public void Registers_after_reset(string script) => Run(script);

    [TestCase("w1 ff  r1 0f", Description = "IER keeps four bits")]
    [TestCase("w3 7f  r3 7f", Description = "LCR keeps all bits")]
    [TestCase("w4 ff  r4 1f", Description = "MCR keeps five bits")]
    [TestCase("w5 ff  r5 60", Description = "LSR is read only")]
    [TestCase("w6 ff  r6 b0", Description = "MSR is read only")]
    [TestCase("w7 a5  r7 a5", Description = "SCR keeps all bits")]
    [TestCase("w1 05  w3 80  w0 34  w1 12  r0 34  r1 12  r3 80  w3 03  r1 05", Description = "DLAB swaps in the divisor latch")]
    [TestCase("w2 01  r2 c1  w2 00  r2 01", Description = "IIR shows that the FIFOs are on")]
    [TestCase("w2 c0  r2 01", Description = "without FCR0 the other bits are not programmed")]
    public void Register_bits(string script) => Run(script);

    [TestCase("in 41  r5 61  r0 41  r5 60  r0 00", Description = "data ready")]
    [TestCase("in 414243  r0 41  r0 42  r0 43  r5 60", Description = "the queue waits for the single buffer")]
    [TestCase("line 41  line 42  r5 63  r5 61  r0 42", Description = "overrun replaces the buffer, and reading LSR clears it")]
    [TestCase("w2 01  in 0102030405060708090a0b0c0d0e0f10  line 11  r5 63  r0 01  r0 02", Description = "overrun keeps the FIFO")]
    [TestCase("w2 01  in 0102  w2 03  r5 60", Description = "FCR1 clears the receiver")]
    [TestCase("w2 01  in 0102  w2 05  r0 01", Description = "FCR2 does not clear the receiver")]
    [TestCase("w2 01  in 0102  w2 00  r5 60", Description = "changing FCR0 clears the FIFO")]
    public void Receiver(string script) => Run(script);

    [TestCase("w1 00  in 41  r2 01  i0", Description = "nothing enabled")]
    [TestCase("w1 02  r2 02  r2 01", Description = "THR empty at enabling; reading IIR clears it")]
    [TestCase("w1 02  r2 02  w0 41  i1  r2 02  i0", Description = "THR empty after each character")]
    [TestCase("w1 02  r2 02  w1 02  r2 01", Description = "enabling again what is enabled raises nothing")]
    [TestCase("w1 01  in 41  r2 04  r0 41  r2 01", Description = "data available until it is read")]
    [TestCase("w1 03  in 41  r2 04  r2 04  r0 41  r2 02", Description = "data goes before THR empty, which stays")]
    [TestCase("w1 07  line 41  line 42  r2 06  r5 63  r2 04", Description = "line status goes first; reading LSR clears it")]
    [TestCase("w1 01  w2 41  in 010203  r2 cc  in 04  r2 c4  r0 01  r2 cc", Description = "below the trigger of 4: time-out")]
    [TestCase("w1 01  w2 81  in 01020304050607  r2 cc  in 08  r2 c4", Description = "trigger 8")]
    [TestCase("w1 01  w2 c1  in 0102030405060708090a0b0c0d  r2 cc  in 0e  r2 c4", Description = "trigger 14")]
    [TestCase("w1 01  w2 01  in 01  r2 c4", Description = "trigger 1")]
    [TestCase("w1 08  w4 10  r2 00  r6 0b  r2 01", Description = "modem status last; reading MSR clears it")]
    public void Interrupts(string script) => Run(script);

    [TestCase("w4 10  r6 0b", Description = "all inputs fall: deltas of CTS, DSR, DCD")]
    [TestCase("w4 10  r6 0b  w4 11  r6 22", Description = "DTR -> DSR")]
    [TestCase("w4 10  r6 0b  w4 12  r6 11", Description = "RTS -> CTS")]
    [TestCase("w4 10  r6 0b  w4 14  r6 40", Description = "OUT1 -> RI, whose leading edge is no event")]
    [TestCase("w4 14  r6 4b  w4 10  r6 04", Description = "trailing edge of RI")]
    [TestCase("w4 10  r6 0b  w4 18  r6 88", Description = "OUT2 -> DCD")]
    [TestCase("w4 10  w0 5a  r5 61  r0 5a", Description = "what is sent is received")]
    [TestCase("w4 10  in 41  line 42  r5 60  w4 00  r0 41", Description = "the line is cut, and queued input waits")]
    public void Loopback(string script) => Run(script);

    [Test]
    public void Sent_bytes_reach_the_sink_except_in_loopback_and_behind_dlab()
    {
        var stream = new MemoryStream();
        var sink = new ConsoleSink(stream);
        var uart = new Uart16550(sink);

        Execute(uart, "w0 68  w3 80  w0 01  w3 03  w0 69  w4 10  w0 78  w4 00  w0 0a");
        sink.Flush();

        Assert.That(stream.ToArray(), Is.EqualTo("hi\n"u8.ToArray()));
    }

    [Test]
    public void The_interrupt_output_reports_its_edges()
    {
        var uart = new Uart16550(new ConsoleSink(Stream.Null));
        var edges = new List<bool>();
        uart.InterruptChanged = edges.Add;

        Execute(uart, "w1 01  in 4142  r0 41  r0 42  w1 02  r2 02");

        Assert.That(edges, Is.EqualTo(new[] { true, false, true, false }));
    }

    [Test]
    public void A_wide_mmio_access_is_one_to_each_register()
    {
        var bus = new MmioBus();
        var uart = new Uart16550(new ConsoleSink(Stream.Null));
        bus.Attach(new Quadwalk.GuestMemory.Gpa(0xd0000000), uart);
        byte[] registers = new byte[8];

        bus.Write(new Quadwalk.GuestMemory.Gpa(0xd0000003), [0x80]);
        bus.Write(new Quadwalk.GuestMemory.Gpa(0xd0000000), [0x34, 0x12]);
        bus.Read(new Quadwalk.GuestMemory.Gpa(0xd0000000), registers);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(uart.Divisor, Is.EqualTo(0x1234));
            Assert.That(Convert.ToHexStringLower(registers), Is.EqualTo("341201800060b000"));
        }
    }

    private static void Run(string script) => Execute(new Uart16550(new ConsoleSink(Stream.Null)), script);

    private static void Execute(Uart16550 uart, string script)
    {
        string done = "";
        foreach (string step in script.Split("  "))
        {
            done += step + "  ";
            string[] words = step.Split(' ');
            int register = words[0][^1] - '0';
            byte value = words.Length == 2 && words[0] != "in" ? byte.Parse(words[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture) : (byte)0;
            switch (words[0])
            {
                case "in":
                    uart.EnqueueInput(Convert.FromHexString(words[1]));
                    break;
                case "line":
                    uart.ReceiveNow(value);
                    break;
                case "i0" or "i1":
                    Assert.That(uart.InterruptPending, Is.EqualTo(register == 1), done);
                    break;
                case ['w', _]:
                    uart.Write((ulong)register, [value]);
                    break;
                default:
                    Assert.That(uart.ReadPort(register, 1), Is.EqualTo(value), done);
                    break;
            }
        }
    }
}
