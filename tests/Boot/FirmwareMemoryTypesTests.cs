using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The memory types that an image finds: those that SeaBIOS sets for QEMU's <c>pc</c>.</summary>
[TestFixture]
internal sealed class FirmwareMemoryTypesTests
{
    [TestCase(0x0ul, "WB")]
    [TestCase(0x9_FFFFul, "WB")]
    [TestCase(0xA_0000ul, "UC")]
    [TestCase(0xB_FFFFul, "UC")]
    [TestCase(0xC_0000ul, "WP")]
    [TestCase(0xF_FFFFul, "WP")]
    [TestCase(0x10_0000ul, "WB")]
    [TestCase(0x7FFF_FFFFul, "WB")]
    [TestCase(0x8000_0000ul, "UC")]
    [TestCase(0xFFFF_FFFFul, "UC")]
    [TestCase(0x1_0000_0000ul, "WB")]
    public void EachProcessorOfAPcHasThem(ulong address, string type)
    {
        using Machine machine = new(new MachineOptions { Kind = MachineKind.Pc, Processors = 3 });
        MultibootStart.Enter(machine, new MultibootEntry(0x10_0000, 0x9500));
        Assert.That(machine.Cpus.Select(cpu => MemoryTypeEncoding.Name(cpu.MemoryTypes.Ranges.TypeAt(new Gpa(address)).Type)), Is.All.EqualTo(type));
    }

    /// <summary>Above 2 GiB of RAM the devices begin where RAM below 4 GiB may end.</summary>
    [TestCase(0x8000_0000ul, 0x8000_0000ul)]
    [TestCase(0x8000_1000ul, 0xC000_0000ul)]
    [TestCase(0x2_0000_0000ul, 0xC000_0000ul)]
    public void DevicesAreUncacheable(ulong ram, ulong devices)
    {
        using Machine machine = new(new MachineOptions { RamBytes = 4 << 20 });
        FirmwareMemoryTypes.Set(machine.Cpu, ram);
        MemoryTypeRanges ranges = machine.Cpu.MemoryTypes.Ranges;
        Assert.That(
            ((ulong[])[devices - 1, devices, 0xFFFF_FFFF, 0x1_0000_0000]).Select(address => ranges.TypeAt(new Gpa(address)).Type),
            Is.EqualTo(new[] { MemoryType.WB, MemoryType.UC, MemoryType.UC, MemoryType.WB }));
    }

    [Test]
    public void AProcessorWithoutMtrrsIsLeftAlone()
    {
        using Machine machine = new(new MachineOptions { RamBytes = 4 << 20, Features = CpuFeatures.Parse("max,-mtrr") });
        FirmwareMemoryTypes.Set(machine.Cpu, 4 << 20);
        Assert.That(machine.Cpu.State.Msr.MtrrDefaultType, Is.Zero);
    }
}
