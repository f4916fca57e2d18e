using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A guest may write anything anywhere at any time: the devices of a PC neither throw nor allocate.</summary>
[TestFixture]
public sealed class HostileDeviceAccessTests
{
    [Test]
    public void AMillionRandomAccessesNeitherThrowNorAllocate()
    {
        var clock = new MachineClock();
        var apicBus = new ApicBus();
        LocalApic[] apics = [.. Enumerable.Range(0, 3).Select(i => new LocalApic(i, apicBus, clock, 40))];
        var ioApic = new IoApic(apicBus);
        var pic = new Pic8259(new InterruptLine(apics[0], LocalApic.Lint0));
        var lines = new PcInterruptLines(pic, ioApic);
        var pit = new Pit8254(clock, lines[0]);
        var rtc = new CmosRtc(clock, lines[8], CmosRtc.DefaultStart, 128 << 20);
        var keyboard = new KeyboardController();
        var test = new PcTestDevice(lines);
        var page = new LocalApicPage(apicBus);
        IPortDevice[] ports =
        [
            pic.MasterPorts, pic.SlavePorts, pic.TriggerPorts, pit, new SystemControlPortB(pit, clock), rtc, new AcpiPmTimer(clock), keyboard, keyboard.Data,
            new FirmwareConfig(1 << 27, 3), test.EchoPorts, test.FlushPorts, test.InterruptPorts, new SystemControlPortA(), new ResetControlPort(),
        ];
        var portBus = new PortBus();
        ushort port = 0;
        foreach (IPortDevice device in ports)
        {
            portBus.Attach(port, device);
            port += (ushort)device.PortCount;
        }

        var mmio = new MmioBus();
        mmio.Attach(new Gpa(0), page);
        mmio.Attach(new Gpa(0x1000), ioApic);
        foreach (ITimedDevice device in new ITimedDevice[] { apics[0], apics[1], apics[2], pit, rtc })
        {
            clock.Attach(device);
        }

        var random = new Random(0xfee);
        Span<byte> bytes = stackalloc byte[16];
        int delivered = 0, faults = 0, deadlines = 0;
        long before = 0;
        for (int i = 0; i < 1_000_000; i++)
        {
            before = i == 10_000 ? GC.GetAllocatedBytesForCurrentThread() : before;
            LocalApic apic = apics[random.Next(3)];
            page.Current = apic.VcpuIndex;
            uint value = random.Next(3) == 0 ? (uint)random.Next(256) : (uint)random.NextInt64(1L << 32);
            int width = 1 << random.Next(3);
            switch (random.Next(8))
            {
                case 0:
                    portBus.Write((ushort)random.Next(port), width, value);
                    break;
                case 1:
                    portBus.Read((ushort)random.Next(port), width);
                    break;
                case 2:
                    random.NextBytes(bytes);
                    mmio.Write(new Gpa((ulong)random.Next(0x40) * 16 + (random.Next(3) == 0 ? 0x1000u : 0)), bytes[..4]);
                    break;
                case 3:
                    random.NextBytes(bytes);
                    mmio.Write(new Gpa((ulong)random.Next(0x2000 - 16)), bytes[..(1 << random.Next(5))]);
                    mmio.Read(new Gpa((ulong)random.Next(0x2000 - 16)), bytes[..(1 << random.Next(5))]);
                    break;
                case 4:
                    uint msr = random.Next(10) == 0 ? LocalApic.ApicBaseMsr : random.Next(10) == 0 ? LocalApic.TscDeadlineMsr : 0x800 + (uint)random.Next(0x40);
                    ulong wide = msr == LocalApic.ApicBaseMsr ? 0xfee0_0000 | value & 0xd00 : random.Next(2) == 0 ? value : (ulong)random.NextInt64();
                    faults += apic.TryWriteMsr(msr, wide) && apic.TryReadMsr(msr, out _) ? 0 : 1;
                    break;
                case 5:
                    clock.AdvanceTo(clock.Now + (random.Next(50) == 0 ? (ulong)random.NextInt64(1L << 42) : (ulong)random.Next(100_000)));
                    break;
                case 6:
                    if (clock.NextDeadline is { } deadline && deadline < 1UL << 61)
                    {
                        deadlines++;
                        clock.AdvanceTo(Math.Max(deadline, clock.Now));
                    }

                    break;
                default:
                    delivered += apic.HasPending(out byte vector) && apic.AcknowledgeInterrupt() == vector ? 1 : 0;
                    delivered += apic.HasExternalInterrupt && pic.AcknowledgeInterrupt() != 0 ? 1 : 0;
                    apic.Take(apic.Requests);
                    break;
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(10_000));
            Assert.That(delivered, Is.GreaterThan(100));
            Assert.That(faults, Is.InRange(1_000, 200_000));
            Assert.That(deadlines, Is.GreaterThan(1_000));
        }
    }
}
