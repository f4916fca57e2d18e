using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The small port devices of a PC, on a bus.</summary>
[TestFixture]
public sealed class PcPortsTests
{
    private sealed class Lines : IInterruptInput
    {
        public List<string> Log { get; } = [];

        public void SetLine(int line, bool level) => Log.Add($"{(level ? '+' : '-')}{line}");
    }

    [TestCase(false, 0xff_ffffu)]
    [TestCase(true, 0xffff_ffffu)]
    public void ThePmTimerCountsAndWraps(bool is32Bit, uint mask)
    {
        var clock = new MachineClock();
        var bus = new PortBus();
        bus.Attach(AcpiPmTimer.Port, new AcpiPmTimer(clock, is32Bit));
        clock.AdvanceTo(10 * MachineClock.TicksPerSecond);
        const uint count = 35_795_450;
        bus.Write(AcpiPmTimer.Port, 4, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(bus.Read(AcpiPmTimer.Port, 4), Is.EqualTo(count & mask));
            Assert.That(bus.Read(AcpiPmTimer.Port, 2), Is.EqualTo(count & 0xffff));
            Assert.That(bus.Read(AcpiPmTimer.Port + 1, 1), Is.EqualTo(count >> 8 & 0xff));
        }
    }

    [Test]
    public void EchoPortsHoldAccessesOfAnyWidth()
    {
        (PortBus bus, _, _) = MakeTestDevice();
        bus.Write(0xe0, 4, 0x11223344);
        bus.Write(0xe1, 2, 0xaabb);
        bus.Write(0xe3, 1, 0xcc);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(bus.Read(0xe0, 4), Is.EqualTo(0xccaabb44u));
            Assert.That(bus.Read(0xe2, 2), Is.EqualTo(0xccaau));
            Assert.That(bus.Read(0xe8, 4), Is.EqualTo(0xccaabb44u), "the byte ports show the same");
        }
    }

    [Test]
    public void InterruptPortsSetLines()
    {
        (PortBus bus, _, Lines lines) = MakeTestDevice();
        bus.Write(0x2004, 1, 1);
        bus.Write(0x2017, 1, 0x80);
        bus.Write(0x2004, 1, 0);
        bus.Write(0x2005, 2, 0x0101);

        Assert.That(lines.Log, Is.EqualTo(new[] { "+4", "+23", "-4" }));
    }

    [Test]
    public void TestMemoryIsReadAsItWasWritten()
    {
        (_, PcTestDevice device, _) = MakeTestDevice();
        var bus = new MmioBus();
        bus.Attach(new Gpa(PcTestDevice.MemoryAddress), device.Memory);
        byte[] read = new byte[8];
        bus.Write(new Gpa(PcTestDevice.MemoryAddress + 0xfff8), [1, 2, 3, 4, 5, 6, 7, 8]);
        bus.Read(new Gpa(PcTestDevice.MemoryAddress + 0xfff8), read);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Convert.ToHexString(read), Is.EqualTo("0102030405060708"));
            Assert.That(device.Memory.Size, Is.EqualTo(65_536ul));
        }
    }

    [Test]
    public void OnlyA32BitWriteFlushes()
    {
        (PortBus bus, PcTestDevice device, _) = MakeTestDevice();
        bus.Write(0xe4, 1, 0);
        bus.Write(0xe4, 4, 0x1000);

        Assert.That(device.Flushes, Is.EqualTo(1ul));
    }

    [TestCase(0x00, "51454d550000")]
    [TestCase(0x01, "0100000000")]
    [TestCase(0x03, "000000080000000000")]
    [TestCase(0x05, "030000")]
    [TestCase(0x4005, "0300", Description = "the write channel reads the same")]
    [TestCase(0x0f, "030000")]
    [TestCase(0x11, "6b65726e656c0000")]
    [TestCase(0x1234, "0000", Description = "no such item")]
    public void FirmwareConfigItems(int key, string expected)
    {
        PortBus bus = MakeFirmwareConfig(out FirmwareConfig config);
        config.Add(FirmwareConfigKey.KernelData, "kernel"u8.ToArray());

        string read = ReadItem(bus, key, expected.Length / 2);

        Assert.That(Convert.ToHexStringLower(Encoding.Latin1.GetBytes(read)), Is.EqualTo(expected));
    }

    [Test]
    public void SelectingStartsAnItemAgainAndOtherWritesAreIgnored()
    {
        PortBus bus = MakeFirmwareConfig(out _);
        _ = ReadItem(bus, 0, 2);
        bus.Write(0x511, 1, 0);
        bus.Write(0x510, 1, 5);
        string rest = ((char)bus.Read(0x511, 1)).ToString() + (char)bus.Read(0x511, 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rest, Is.EqualTo("MU"));
            Assert.That(ReadItem(bus, 0, 4), Is.EqualTo("QEMU"));
        }
    }

    [Test]
    public void FilesAreInTheDirectory()
    {
        PortBus bus = MakeFirmwareConfig(out FirmwareConfig config);
        string none = ReadItem(bus, 0x19, 4);
        config.AddFile("etc/a", "one"u8.ToArray());
        config.AddFile("opt/b", new byte[300]);
        string directory = ReadItem(bus, 0x19, 4 + 2 * 64);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(none, Is.EqualTo("\0\0\0\0"));
            Assert.That(directory, Is.EqualTo("\0\0\0\u0002" + "\0\0\0\u0003\0\u0020\0\0etc/a".PadRight(64, '\0') + "\0\0\u0001\u002c\0\u0021\0\0opt/b".PadRight(64, '\0')));
            Assert.That(ReadItem(bus, 0x20, 3), Is.EqualTo("one"));
            Assert.That(() => config.AddFile(new string('n', 56), default), Throws.ArgumentException);
            Assert.That(() => config.AddFile("\u00e9", default), Throws.ArgumentException);
        }
    }

    [TestCase("64=fe", 1, Description = "pulse the reset line")]
    [TestCase("64=ff", 0, Description = "pulse nothing")]
    [TestCase("64=d1 60=fe", 1, Description = "output port with the reset line low")]
    [TestCase("64=d1 60=df", 0)]
    [TestCase("60=fe", 0, Description = "a byte for the keyboard")]
    [TestCase("92=01", 1)]
    [TestCase("92=01 92=01", 1, Description = "only a rise")]
    [TestCase("92=02", 0)]
    [TestCase("cf9=06", 1)]
    [TestCase("cf9=02", 0)]
    [TestCase("cf9=02 cf9=06 cf9=06", 1)]
    [TestCase("cf8=80000604", 0, Description = "a PCI configuration address is not for the register")]
    public void Resets(string writes, int resets)
    {
        int count = 0;
        PortBus bus = MakeResetPorts(() => count++);
        foreach (string write in writes.Split(' '))
        {
            string[] sides = write.Split('=');
            bus.Write(Convert.ToUInt16(sides[0], 16), sides[1].Length / 2, Convert.ToUInt32(sides[1], 16));
        }

        Assert.That(count, Is.EqualTo(resets));
    }

    [TestCase("64=aa", 0x55u, Description = "self-test")]
    [TestCase("64=ab", 0x00u, Description = "keyboard interface test")]
    [TestCase("64=20", 0x04u, Description = "configuration byte")]
    [TestCase("64=60 60=47 64=20", 0x47u)]
    [TestCase("64=d0", 0xcfu, Description = "output port: A20 on, no reset")]
    [TestCase("64=dd 64=d0", 0xcdu, Description = "A20 off is remembered")]
    [TestCase("64=dd 64=df 64=d0", 0xcfu)]
    [TestCase("64=d2 60=5a", 0x5au, Description = "a byte written to the output buffer")]
    public void KeyboardControllerAnswers(string writes, uint expected)
    {
        PortBus bus = MakeResetPorts(() => { });
        foreach (string write in writes.Split(' '))
        {
            bus.Write(Convert.ToUInt16(write[..2], 16), 1, Convert.ToUInt32(write[3..], 16));
        }

        uint full = bus.Read(0x64, 1) & 1;
        uint answer = bus.Read(0x60, 1);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(full, Is.EqualTo(1u));
            Assert.That(answer, Is.EqualTo(expected));
            Assert.That(bus.Read(0x64, 1) & 3, Is.Zero, "output taken, input never full");
        }
    }

    [Test]
    public void TheConfigurationPortsOfPciFindNothingAndPort92Reads()
    {
        PortBus bus = MakeResetPorts(() => { });
        bus.Write(0xcf8, 4, 0x8000_0000);
        bus.Write(0x92, 1, 0xfe);
        bus.Write(0xcf9, 1, 0x0a);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(bus.Read(0xcf8, 4), Is.EqualTo(uint.MaxValue));
            Assert.That(bus.Read(0x92, 1), Is.EqualTo(2u));
            Assert.That(bus.Read(0xcf9, 1), Is.EqualTo(0x0au));
        }
    }

    [Test]
    public void TheSerialPortRaisesItsLine()
    {
        var lines = new Lines();
        var uart = new Uart16550(new ConsoleSink(Stream.Null)) { InterruptChanged = new InterruptLine(lines, 4).Set };
        uart.WritePort(1, 1, 1);
        uart.EnqueueInput("x"u8);
        uart.ReadPort(0, 1);

        Assert.That(lines.Log, Is.EqualTo(new[] { "+4", "-4" }));
    }

    private static (PortBus Bus, PcTestDevice Device, Lines Lines) MakeTestDevice()
    {
        var lines = new Lines();
        var device = new PcTestDevice(lines);
        var bus = new PortBus();
        bus.Attach(PcTestDevice.EchoPort, device.EchoPorts);
        bus.Attach(PcTestDevice.FlushPort, device.FlushPorts);
        bus.Attach(PcTestDevice.ByteEchoPort, device.ByteEchoPorts);
        bus.Attach(PcTestDevice.InterruptPort, device.InterruptPorts);
        return (bus, device, lines);
    }

    private static PortBus MakeFirmwareConfig(out FirmwareConfig config)
    {
        config = new FirmwareConfig(128 << 20, 3);
        var bus = new PortBus();
        bus.Attach(FirmwareConfig.Port, config);
        return bus;
    }

    private static PortBus MakeResetPorts(Action onReset)
    {
        var bus = new PortBus();
        var keyboard = new KeyboardController(onReset);
        bus.Attach(KeyboardController.CommandPort, keyboard);
        bus.Attach(KeyboardController.DataPort, keyboard.Data);
        bus.Attach(SystemControlPortA.Port, new SystemControlPortA(onReset));
        bus.Attach(ResetControlPort.Port, new ResetControlPort(onReset));
        return bus;
    }

    private static string ReadItem(PortBus bus, int key, int length)
    {
        bus.Write(FirmwareConfig.Port, 2, (uint)key);
        var text = new StringBuilder();
        for (int i = 0; i < length; i++)
        {
            text.Append((char)bus.Read(FirmwareConfig.Port + 1, 1));
        }

        return text.ToString();
    }
}
