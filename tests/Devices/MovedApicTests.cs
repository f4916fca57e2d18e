using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The page of the local APIC is where IA32_APIC_BASE of the processor says (SDM Vol. 3A, 12.4.5).</summary>
[TestFixture]
public sealed class MovedApicTests
{
    private const ulong Usual = 0xFEE0_0000, Other = 0xFED4_0000, IoApic = 0xFEC0_0000, Version = 0x30, Enabled = 0x900;

    private Machine machine = null!;

    [SetUp]
    public void Make() => machine = new Machine(new MachineOptions { Kind = MachineKind.Pc, Processors = 2, RamBytes = 4 << 20 });

    [TearDown]
    public void Dispose() => machine.Dispose();

    [Test]
    public void ThePageMovesAndComesBack()
    {
        uint version = Read(Usual + Version);
        Assert.That(machine.Cpu.Apic!.TrySetApicBase(Other | Enabled), Is.True);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Read(Other + Version), Is.EqualTo(version));
            Assert.That(Read(Usual + Version), Is.EqualTo(uint.MaxValue));
            Assert.That(machine.Cpu.Apic.TrySetApicBase(Usual | Enabled), Is.True);
            Assert.That(Read(Usual + Version), Is.EqualTo(version));
            Assert.That(Read(Other + Version), Is.EqualTo(uint.MaxValue));
        }
    }

    [Test]
    public void EachProcessorHasItsPageWhereItPutIt()
    {
        Assert.That(machine.Cpus[1].Apic!.TrySetApicBase(Other | 0x800), Is.True);
        uint first = Read(Usual + Version);
        machine.Board!.Select(machine.Cpus[1]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(first, Is.Not.EqualTo(uint.MaxValue));
            Assert.That(Read(Other + Version), Is.EqualTo(first));
            Assert.That(Read(Usual + Version), Is.EqualTo(uint.MaxValue));
        }
    }

    [Test]
    public void OnAnotherDeviceThePageIsNotThere()
    {
        uint before = Read(IoApic);
        Assert.That(machine.Cpu.Apic!.TrySetApicBase(IoApic | Enabled), Is.True);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Read(IoApic), Is.EqualTo(before));
            Assert.That(machine.Cpu.Apic.TrySetApicBase(Usual | Enabled), Is.True);
            Assert.That(Read(Usual + Version), Is.Not.EqualTo(uint.MaxValue));
        }
    }

    private uint Read(ulong address)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        machine.Mmio.Read(new Gpa(address), bytes);
        return BitConverter.ToUInt32(bytes);
    }
}
