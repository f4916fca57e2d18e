using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Where images go in RAM of every size, and where they cannot go.</summary>
[TestFixture]
public sealed class ImageLoaderMemoryTests
{
    private const ulong MiB = BootedMachine.MiB, GiB = BootedMachine.GiB;
    private const ulong DirectMap = 0xffff_8880_0000_0000, Own = 0xffff_ffff_ff00_0000;

    [TestCase(DirectMap, 0, "the direct map")]
    [TestCase(DirectMap - 0x1000, 0, "the direct map", Description = "its bss reaches over")]
    [TestCase(DirectMap - 0x2000, 0, null)]
    [TestCase(0xffff_c87f_ffff_f000, 0, "the direct map")]
    [TestCase(0xffff_c880_0000_0000, 0, null)]
    [TestCase(Own - 0x2000, 0, null)]
    [TestCase(Own - 0x1000, 0, "the stack and descriptor tables")]
    [TestCase(Own + 0x20_0000, 0, "the stack and descriptor tables")]
    [TestCase(Own + 0x20_1000, 0, null)]
    [TestCase(0xffff_ffff_8000_0000, 0, null)]
    [TestCase(0x7fff_ffff_e000UL, 0, null)]
    [TestCase(0x0UL, 0, null)]
    [TestCase(0xffff_ffff_8000_0000, 3, "upper half")]
    [TestCase(0x7fff_ffef_c000UL, 3, "the stack", Description = "its bss reaches the guard page")]
    [TestCase(0x7fff_ffef_b000UL, 3, null)]
    [TestCase(0x7fff_ffff_e000UL, 3, "the stack")]
    [TestCase(0x0UL, 3, null)]
    public void A_segment_may_lie_anywhere_but_on_what_the_protocol_puts_there(ulong address, int ring, string? refusal)
    {
        byte[] file = new ElfBuilder { CodeAddress = 0x60_0000, DataAddress = address }.Build();

        string? message = Refusal(ram => ElfImage.Parse(file, ram), 128 * MiB, ring);

        Assert.That(message, refusal is null ? Is.Null : Does.Contain(refusal).And.Not.Contain("\n"));
    }

    [TestCase(0u, 4096UL)]
    [TestCase(0u, 2 * MiB)]
    [TestCase(3u, 3 * MiB)]
    [TestCase(0u, 3 * MiB + 4096)]
    public void Too_little_RAM_is_refused_with_the_least_that_is_enough(uint ring, ulong ram)
    {
        string? message = Refusal(_ => BootedMachine.Elf(4 * MiB, ring), ram);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(message, Does.EndWith("give the machine -m 4M"));
            Assert.That(Refusal(_ => BootedMachine.Elf(4 * MiB, ring), 4 * MiB), Is.Null);
        }
    }

    [Test]
    public void The_RAM_it_asks_for_is_enough_to_the_page([Values(0u, 3u)] uint ring)
    {
        ulong used;
        using (var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring)))
        {
            used = booted.Layout.FirstFree.Value;
        }

        using var tight = new BootedMachine(_ => BootedMachine.Elf(128 * MiB, ring), used);
        string? message = Refusal(_ => BootedMachine.Elf(128 * MiB, ring), used - PageSize.Size4K);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(tight.Layout.FirstFree, Is.EqualTo(new Gpa(used)));
            Assert.That(tight.Layout.FreeEnd, Is.EqualTo(new Gpa(used)));
            Assert.That(message, Does.Contain("does not fit"));
        }
    }

    [TestCase(3 * GiB, 3 * GiB)]
    [TestCase(3 * GiB + 4096, 3 * GiB)]
    [TestCase(5 * GiB, 3 * GiB)]
    [TestCase(64 * GiB, 3 * GiB)]
    public void RAM_beyond_the_devices_is_in_the_direct_map_and_the_free_range_ends_below_them(ulong ram, ulong freeEnd)
    {
        using var booted = new BootedMachine(bytes => BootedMachine.Elf(bytes), ram);
        ulong end = ram > 3 * GiB ? ram + GiB : 4 * GiB;
        WalkResult last = booted.Walk(new Gva(DirectMap + end - 1), AccessKind.Write);
        ulong beyond = (end + (2 * MiB) - 1) & ~((2 * MiB) - 1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((last.Gpa, last.PageShift), Is.EqualTo((new Gpa(end - 1), 21)));
            Assert.That(booted.Walk(new Gva(DirectMap + beyond)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(booted.Layout.FreeEnd, Is.EqualTo(new Gpa(freeEnd)));
            Assert.That(booted.Read64(booted.Layout.Information + 16), Is.EqualTo(ram));
        }
    }

    [TestCase(63 * GiB, null)]
    [TestCase(63 * GiB + 4096, "more than the processor")]
    public void RAM_that_the_processor_cannot_address_is_the_callers_mistake(ulong ram, string? refusal)
    {
        using var machine = new Machine(new MachineOptions { RamBytes = ram, Features = new CpuFeatures { PhysicalAddressBits = 36 } });
        string? message = null;
        try
        {
            _ = ImageLoader.Load(machine, BootedMachine.Elf(ram));
        }
        catch (ArgumentException exception)
        {
            message = exception.Message;
        }

        Assert.That(message, refusal is null ? Is.Null : Does.Contain(refusal));
    }

    [Test]
    public void A_segment_larger_than_the_RAM_below_the_devices_goes_on_above_them()
    {
        byte[] file = new ElfBuilder().Build();
        ElfBuilder.Put64(file, ElfBuilder.DataHeader + 40, 3 * GiB);
        using var booted = new BootedMachine(ram => ElfImage.Parse(file, ram), 4 * GiB);
        BootRegion[] bss = [.. booted.Layout.Regions.Where(region => region.Gva.Value >= ElfBuilder.Data && region.Name == "image")];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(bss, Has.Length.EqualTo(2));
            Assert.That(bss[0].Gpa + bss[0].Length, Is.EqualTo(new Gpa(3 * GiB)));
            Assert.That(bss[1].Gpa, Is.EqualTo(new Gpa(4 * GiB)));
            Assert.That(booted.Walk(bss[1].Gva).Gpa, Is.EqualTo(new Gpa(4 * GiB)));
            Assert.That(booted.Layout.FirstFree.Value, Is.GreaterThan(4 * GiB));
            Assert.That(booted.Layout.FreeEnd, Is.EqualTo(new Gpa(5 * GiB)));
        }
    }

    [TestCase(0x10_0000UL, 128 * MiB, 2 * MiB, 128 * MiB)]
    [TestCase(0x7c00UL, 128 * MiB, 2 * MiB, 128 * MiB)]
    [TestCase(0x700_0000UL, 128 * MiB, 2 * MiB, 0x700_0000UL)]
    [TestCase(0x30_0000UL, 128 * MiB, 0x30_1000UL, 128 * MiB)]
    [TestCase(0x1_0000_0000UL, 4 * GiB, 2 * MiB, 3 * GiB)]
    public void A_flat_image_lies_at_its_own_address_and_the_rest_on_its_larger_side(ulong address, ulong ram, ulong from, ulong to)
    {
        using var booted = new BootedMachine(bytes => Flat(address, bytes), ram);
        WalkResult identity = booted.Walk(new Gva(address));
        ulong highest = booted.Layout.Regions.Where(region => region.Name != "direct map" && region.Name != "identity map").Max(region => region.Gpa.Value);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(identity.Gpa, Is.EqualTo(new Gpa(address)));
            Assert.That(identity.Rights, Is.EqualTo(PageRights.Write));
            Assert.That(identity.PageShift, Is.EqualTo(21));
            Assert.That(booted.Read64(new Gva(address)), Is.EqualTo(0xf4f4_f4f4));
            Assert.That(booted.Layout.Entry, Is.EqualTo(new Gva(address)));
            Assert.That(booted.Layout.FirstFree.Value, Is.InRange(from, to));
            Assert.That(highest, Is.InRange(from, to));
            Assert.That(booted.Layout.FreeEnd, Is.EqualTo(new Gpa(to)));
        }
    }

    [TestCase(8 * MiB + 4096, 8 * MiB + 4095)]
    [TestCase(8 * MiB, 8 * MiB - 1)]
    [TestCase(5 * GiB, 6 * GiB - 1)]
    public void The_identity_map_ends_where_RAM_does(ulong ram, ulong last)
    {
        using var booted = new BootedMachine(bytes => Flat(0x10_0000, bytes), ram);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(booted.Walk(new Gva(last), AccessKind.Execute).Gpa, Is.EqualTo(new Gpa(last)));
            Assert.That(booted.Walk(new Gva(last + 1)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(booted.Walk(new Gva(3 * GiB)).Failure, Is.EqualTo(WalkFailure.NotPresent));
        }
    }

    [TestCase(0xbfff_ffffUL, "devices")]
    [TestCase(0xd000_0000UL, "devices")]
    [TestCase(0x800_0000UL, "-m 129M")]
    [TestCase(0x4000_0000_0000UL, "another address")]
    [TestCase(DirectMap, "the direct map")]
    [TestCase(0xffff_ffff_8000_0000, null)]
    public void A_flat_image_is_refused_where_there_can_be_no_RAM(ulong address, string? refusal) =>
        Assert.That(Refusal(ram => Flat(address, ram), 128 * MiB), refusal is null ? Is.Null : Does.Contain(refusal));

    [Test]
    public void A_flat_image_in_ring_3_is_a_process()
    {
        using var booted = new BootedMachine(bytes => Flat(0x10_0000, bytes), ring: 3);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(booted.Walk(new Gva(0x10_0000)).Rights, Is.EqualTo(PageRights.User | PageRights.Write));
            Assert.That(booted.Walk(new Gva(0x10_1000)).Failure, Is.EqualTo(WalkFailure.NotPresent));
        }
    }

    private static FlatImage Flat(ulong address, ulong ram) => FlatImage.Create(new byte[] { 0xf4, 0xf4, 0xf4, 0xf4 }, new Gva(address), ram);

    private static string? Refusal(Func<ulong, GuestImage> image, ulong ram, int? ring = null)
    {
        try
        {
            using var booted = new BootedMachine(image, ram, ring);
            return null;
        }
        catch (ImageFormatException exception)
        {
            return exception.Message;
        }
    }
}
