using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class MultibootLoaderTests
{
    private const ulong MiB = 1UL << 20;

    [Test]
    public void TheImageAndItsInformationLieWhereTheEntrySays()
    {
        using var machine = new Machine(new MachineOptions { RamBytes = 128 * MiB });
        MultibootModule[] modules = [new("env A=1", "A=1\n"u8.ToArray()), new("big", new byte[5000])];

        MultibootEntry entry = MultibootLoader.Load(machine, MultibootImage.Parse(MultibootBuilder.Elf()), "x/test.flat", "one two", modules);

        byte[] mbi = Read(machine, entry.Ebx, 88);
        byte[] table = Read(machine, MultibootBuilder.Get(mbi, 24), 32);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((entry.Eip, entry.Ebx), Is.EqualTo((0x10_0010u, 0x9500u)));
            Assert.That(Read(machine, 0x10_2000, 5), Is.EqualTo(new byte[] { 1, 2, 3, 4, 0 }));
            Assert.That(MultibootBuilder.Get(mbi, 0), Is.EqualTo(0x24fu), "memory, boot device, command line, modules, map, loader name");
            Assert.That(MultibootBuilder.Get(mbi, 4), Is.EqualTo(639u));
            Assert.That(MultibootBuilder.Get(mbi, 8), Is.EqualTo(129_920u), "127 MiB less the firmware's 128 KiB");
            Assert.That(MultibootBuilder.Get(mbi, 12), Is.EqualTo(0x8000_ffffu));
            Assert.That(Text(machine, MultibootBuilder.Get(mbi, 16)), Is.EqualTo("x/test.flat one two"));
            Assert.That(MultibootBuilder.Get(mbi, 20), Is.EqualTo(2u));
            Assert.That(MultibootBuilder.Get(mbi, 24), Is.EqualTo(0x10_4000u), "the page after the image");
            Assert.That(Text(machine, MultibootBuilder.Get(mbi, 64)), Is.EqualTo("qemu"));
            Assert.That(Enumerable.Range(0, 2).Select(i => (MultibootBuilder.Get(table, i * 16), MultibootBuilder.Get(table, i * 16 + 4))), Is.EqualTo(new[] { (0x10_5000u, 0x10_5004u), (0x10_6000u, 0x10_7388u) }));
            Assert.That(Text(machine, MultibootBuilder.Get(table, 8)), Is.EqualTo("env A=1"));
            Assert.That(Text(machine, MultibootBuilder.Get(table, 24)), Is.EqualTo("big"));
            Assert.That(Text(machine, 0x10_5000), Is.EqualTo("A=1\n"));
        }
    }

    [Test]
    public void WithoutArgumentsTheCommandLineEndsInASpace()
    {
        using var machine = new Machine(new MachineOptions { RamBytes = 4 * MiB });

        MultibootEntry entry = MultibootLoader.Load(machine, MultibootImage.Parse(MultibootBuilder.Flat()), "a.flat");

        byte[] mbi = Read(machine, entry.Ebx, 88);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Text(machine, MultibootBuilder.Get(mbi, 16)), Is.EqualTo("a.flat "));
            Assert.That(MultibootBuilder.Get(mbi, 20), Is.Zero);
        }
    }

    [Test]
    public void TheStateIsThatOfTheSpecification()
    {
        (uint Attributes, uint Limit, ulong Base, ushort Selector) Parts(SegmentRegister s) => (s.Attributes, s.Limit, s.Base, s.Selector);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(MultibootEntry.Eax, Is.EqualTo(0x2bad_b002u));
            Assert.That(MultibootEntry.Cr0 & 0x8000_0001, Is.EqualTo(1ul), "PE without PG");
            Assert.That(MultibootEntry.Rflags, Is.EqualTo(2ul), "IF is 0");
            Assert.That(Parts(MultibootEntry.Code), Is.EqualTo((0x00c0_9b00u, uint.MaxValue, 0ul, (ushort)8)));
            Assert.That(Parts(MultibootEntry.Data), Is.EqualTo((0x00c0_9300u, uint.MaxValue, 0ul, (ushort)0x10)));
        }
    }

    [TestCase(2ul, "0+9fc00=1 9fc00+400=2 f0000+10000=2 100000+e0000=1 1e0000+20000=2 fffc0000+40000=2")]
    [TestCase(128ul, "0+9fc00=1 9fc00+400=2 f0000+10000=2 100000+7ee0000=1 7fe0000+20000=2 fffc0000+40000=2")]
    [TestCase(4096ul, "0+9fc00=1 9fc00+400=2 f0000+10000=2 100000+bfee0000=1 bffe0000+20000=2 fffc0000+40000=2 100000000+40000000=1")]
    public void TheMemoryMap(ulong mebibytes, string expected) =>
        Assert.That(string.Join(' ', PcMemoryMap.Make(mebibytes * MiB).Select(r => $"{r.Address:x}+{r.Length:x}={(r.IsUsable ? 1 : 2)}")), Is.EqualTo(expected));

    [Test]
    public void TheMapInMemoryHasEntriesOf20BytesBehindTheirSize()
    {
        using var machine = new Machine(new MachineOptions { RamBytes = 4 * MiB });
        MultibootEntry entry = MultibootLoader.Load(machine, MultibootImage.Parse(MultibootBuilder.Elf()), "a");
        byte[] mbi = Read(machine, entry.Ebx, 88);
        byte[] map = Read(machine, MultibootBuilder.Get(mbi, 48), (int)MultibootBuilder.Get(mbi, 44));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(map, Has.Length.EqualTo(6 * 24));
            Assert.That(Convert.ToHexStringLower(map[..24]), Is.EqualTo("140000000000000000000000" + "00fc090000000000" + "01000000"));
            Assert.That(Enumerable.Range(0, 6).Select(i => MultibootBuilder.Get(map, i * 24)), Has.All.EqualTo(20u));
        }
    }

    [TestCase(1ul, 0x0010_0000u, 0, "0x200000 bytes of RAM")]
    [TestCase(4ul, 0x003f_f000u, 0, "beyond the 0x400000 bytes", Description = "no room for the texts")]
    [TestCase(4ul, 0x0010_0000u, 4 << 20, "beyond the 0x400000 bytes", Description = "no room for the module")]
    [TestCase(4ul, 0xff00_0000u, 0, "beyond the 0x400000 bytes")]
    public void WhatDoesNotFitIsRefused(ulong mebibytes, uint address, int moduleBytes, string expected)
    {
        using var machine = new Machine(new MachineOptions { RamBytes = mebibytes * MiB });
        var image = MultibootImage.Parse(MultibootBuilder.Flat(address + 0x80, address, address + 0x100, address + 0x200, address));

        Assert.That(
            () => MultibootLoader.Load(machine, image, "a", "", [new MultibootModule("m", new byte[moduleBytes])]),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains(expected));
    }

    [TestCase(0x9000u, 0x9000u, Description = "contents on the map")]
    [TestCase(0x9480u, 0x9580u, Description = "zeros on the information")]
    public void AnImageOverwritesTheBootInformation(uint address, uint looked)
    {
        using var machine = new Machine(new MachineOptions { RamBytes = 4 * MiB });
        byte[] file = MultibootBuilder.Flat(address + 0x80, address, address + 0x100, address + 0x200, address);
        var image = MultibootImage.Parse(file);

        MultibootEntry entry = MultibootLoader.Load(machine, image, "a");

        byte[] expected = [.. image.Segments[0].Contents.ToArray(), .. new byte[0x100]];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Read(machine, looked, 0x80), Is.EqualTo(expected.AsSpan((int)(looked - address), 0x80).ToArray()));
            Assert.That(entry.Ebx, Is.EqualTo(0x9500));
        }
    }

    private static byte[] Read(Machine machine, uint address, int length)
    {
        byte[] bytes = new byte[length];
        machine.ReadMemory(new Gpa(address), bytes);
        return bytes;
    }

    private static string Text(Machine machine, uint address)
    {
        byte[] bytes = Read(machine, address, 256);
        return Encoding.ASCII.GetString(bytes.AsSpan(0, Array.IndexOf(bytes, (byte)0)));
    }
}
