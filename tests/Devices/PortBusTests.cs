using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class PortBusTests
{
    private sealed class Probe(int ports, int widest, List<string> calls) : IPortDevice
    {
        public int PortCount => ports;

        public int MaximumPortWidth => widest;

        public uint ReadPort(int offset, int width)
        {
            calls.Add($"in{width}@{offset}");
            return 0xa0a0a0a0 + (uint)offset;
        }

        public void WritePort(int offset, int width, uint value) => calls.Add($"out{width}@{offset}={value:x}");
    }

    private static PortBus MakeBus(List<string> calls)
    {
        var bus = new PortBus();
        bus.Attach(0x100, new Probe(4, 1, calls));
        bus.Attach(0x200, new Probe(4, 4, calls));
        bus.Attach(0x300, new Probe(4, 2, calls));
        bus.Attach(0xffff, new Probe(1, 1, calls));
        return bus;
    }

    [TestCase(0x100, 1, "in1@0", 0xa0u, 0)]
    [TestCase(0x100, 4, "in1@0 in1@1 in1@2 in1@3", 0xa3a2a1a0u, 0, Description = "byte ports, as on ISA")]
    [TestCase(0x102, 4, "in1@2 in1@3", 0xffffa3a2u, 1)]
    [TestCase(0x0fe, 4, "in1@0 in1@1", 0xa1a0ffffu, 1)]
    [TestCase(0x200, 4, "in4@0", 0xa0a0a0a0u, 0)]
    [TestCase(0x202, 4, "in1@2 in1@3", 0xffffa3a2u, 1, Description = "leaves the device, so byte ports")]
    [TestCase(0x300, 2, "in2@0", 0xa0a0u, 0)]
    [TestCase(0x300, 4, "in1@0 in1@1 in1@2 in1@3", 0xa3a2a1a0u, 0, Description = "wider than the device takes")]
    [TestCase(0x080, 1, "", 0xffu, 1)]
    [TestCase(0x080, 2, "", 0xffffu, 1)]
    [TestCase(0x080, 4, "", 0xffffffffu, 1)]
    [TestCase(0xffff, 4, "in1@0", 0xffffffa0u, 1, Description = "beyond the last port is nothing")]
    public void In(int port, int width, string calls, uint value, int unclaimed)
    {
        var seen = new List<string>();
        PortBus bus = MakeBus(seen);

        uint read = bus.Read((ushort)port, width);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.EqualTo(value));
            Assert.That(string.Join(' ', seen), Is.EqualTo(calls));
            Assert.That(bus.UnclaimedReads, Is.EqualTo((ulong)unclaimed));
        }
    }

    [TestCase(0x100, 1, "out1@0=44", 0)]
    [TestCase(0x100, 4, "out1@0=44 out1@1=33 out1@2=22 out1@3=11", 0)]
    [TestCase(0x0ff, 2, "out1@0=33", 1)]
    [TestCase(0x200, 4, "out4@0=11223344", 0)]
    [TestCase(0x200, 2, "out2@0=3344", 0)]
    [TestCase(0x080, 4, "", 1)]
    public void Out(int port, int width, string calls, int unclaimed)
    {
        var seen = new List<string>();
        PortBus bus = MakeBus(seen);

        bus.Write((ushort)port, width, 0x11223344);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Join(' ', seen), Is.EqualTo(calls));
            Assert.That(bus.UnclaimedWrites, Is.EqualTo((ulong)unclaimed));
        }
    }

    [Test]
    public void The_observer_sees_each_piece()
    {
        PortBus bus = MakeBus([]);
        var seen = new List<string>();
        bus.Observer = a => seen.Add($"{(a.IsWrite ? "out" : "in")}{a.Width} {a.Port:x}={a.Value:x} {a.Device is not null}");

        bus.Write(0x103, 2, 0x1234);
        _ = bus.Read(0x200, 4);

        Assert.That(seen, Is.EqualTo(new[] { "out1 103=34 True", "out1 104=12 False", "in4 200=a0a0a0a0 True" }));
    }

    [TestCase(0x100, 1, 1)]
    [TestCase(0x0f0, 0x20, 1)]
    [TestCase(0xfffe, 3, 1)]
    [TestCase(0x400, 0, 1)]
    [TestCase(0x400, 4, 3)]
    public void A_device_that_does_not_fit_is_refused(int port, int ports, int widest) =>
        Assert.That(() => MakeBus([]).Attach((ushort)port, new Probe(ports, widest, [])), Throws.ArgumentException);

    [TestCase(0)]
    [TestCase(3)]
    [TestCase(8)]
    public void Other_widths_are_host_mistakes(int width) =>
        Assert.That(() => new PortBus().Read(0x80, width), Throws.TypeOf<ArgumentOutOfRangeException>());

    [Test]
    public void The_console_ports_print_in_the_order_of_the_guest()
    {
        var stream = new MemoryStream();
        var sink = new ConsoleSink(stream);
        var bus = new PortBus();
        bus.Attach(0x3f8, new Uart16550(sink));
        bus.Attach(DebugConsolePort.Port, new DebugConsolePort(sink));

        bus.Write(0x3f8, 1, 'a');
        bus.Write(0xe9, 1, 'b');
        bus.Write(0xe9, 4, 0x7a7a7a63);
        bus.Write(0x3f8, 1, 'd');
        uint identity = bus.Read(0xe9, 1);
        sink.Flush();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Encoding.ASCII.GetString(stream.ToArray()), Is.EqualTo("abcd"));
            Assert.That(identity, Is.EqualTo(0xe9));
        }
    }

    [TestCase(0xf4, 4, 0u, 1, 0)]
    [TestCase(0xf4, 4, 21u, 43, 0)]
    [TestCase(0xf4, 4, 0x80000000u, 1, 0, Description = "the top bit is lost")]
    [TestCase(0xf4, 1, 21u, null, 1)]
    [TestCase(0xf4, 2, 21u, null, 1)]
    [TestCase(0xf5, 1, 21u, null, 1)]
    [TestCase(0xf3, 4, 21u, null, 3)]
    public void Only_a_32_bit_out_to_the_exit_port_ends_the_run(int port, int width, uint value, int? status, int ignored)
    {
        uint? called = null;
        var exit = new ExitPort(v => called = v);
        var bus = new PortBus();
        bus.Attach(ExitPort.Port, exit);

        bus.Write((ushort)port, width, value);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit.Status, Is.EqualTo(status));
            Assert.That(called, Is.EqualTo(status is null ? null : value));
            Assert.That(exit.IgnoredWrites, Is.EqualTo((ulong)ignored));
            Assert.That(bus.Read(0xf4, 4), Is.Zero);
        }
    }
}
