using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class ImageLoaderTests
{
    private const ulong DirectMap = 0xffff_8880_0000_0000;
    private const PageRights U = PageRights.User, W = PageRights.Write, Nx = PageRights.NoExecute, G = PageRights.Global;

    [TestCase(0u, PageRights.None)]
    [TestCase(3u, U)]
    public void Segments_have_the_rights_they_ask_for(uint ring, PageRights user)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));
        WalkResult code = booted.Walk(new Gva(ElfBuilder.Code));
        WalkResult data = booted.Walk(new Gva(ElfBuilder.Data));
        WalkResult bss = booted.Walk(new Gva(ElfBuilder.Data + 0x17ff));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(code.Rights, Is.EqualTo(user));
            Assert.That(data.Rights, Is.EqualTo(user | W | Nx));
            Assert.That(bss.Rights, Is.EqualTo(user | W | Nx));
            Assert.That(code.PageShift, Is.EqualTo(PageSize.Shift4K));
            Assert.That(code.Gpa, Is.EqualTo(new Gpa(0x20_0000)));
            Assert.That(booted.Read64(new Gva(ElfBuilder.Code)), Is.EqualTo(0xfeeb_9090_050f_c031));
            Assert.That(booted.Read64(new Gva(ElfBuilder.Data)), Is.EqualTo(0x0403_0201));
            Assert.That(booted.Walk(new Gva(ElfBuilder.Data + 0x2000)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(booted.Walk(new Gva(ElfBuilder.Code - 1)).Failure, Is.EqualTo(WalkFailure.NotPresent));
        }
    }

    [TestCase(0x401000UL, 0x401010UL, 0u, "401000: W, 402000: W NX", Description = "data behind code")]
    [TestCase(0x401200UL, 0x3ff900UL, 0u, "3ff000: W NX, 400000: W NX, 401000: W", Description = "code behind data")]
    [TestCase(0x401200UL, 0x3ff900UL, 3u, "3ff000: W NX, 400000: W NX, 401000: W")]
    [TestCase(0x400ff8UL, 0x401000UL, 0u, "400000: , 401000: W NX, 402000: W NX", Description = "they touch and share nothing")]
    public void A_page_that_segments_share_has_the_rights_of_both(ulong code, ulong data, uint ring, string expected)
    {
        byte[] file = new ElfBuilder { CodeAddress = code, DataAddress = data, Ring = ring, Symbols = [] }.Build();
        using var booted = new BootedMachine(ram => ElfImage.Parse(file, ram));
        var pages = new List<string>();
        for (ulong page = 0x3f_e000; page < 0x40_4000; page += PageSize.Size4K)
        {
            WalkResult walk = booted.Walk(new Gva(page));
            if (walk.Failure == WalkFailure.None)
            {
                string write = (walk.Rights & W) != 0 ? "W" : "", execute = (walk.Rights & Nx) != 0 ? " NX" : "";
                pages.Add($"{page:x}: {write}{execute}");
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Join(", ", pages), Is.EqualTo(expected));
            Assert.That(booted.Read64(new Gva(code)), Is.EqualTo(0xfeeb_9090_050f_c031));
            Assert.That(booted.Read64(new Gva(data)), Is.EqualTo(0x0403_0201));
        }
    }

    [TestCase(0u)]
    [TestCase(3u)]
    public void Every_region_is_mapped_as_the_layout_says_and_its_memory_is_its_own(uint ring)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));
        var owners = new Dictionary<ulong, string>();

        using (Assert.EnterMultipleScope())
        {
            foreach (BootRegion region in booted.Layout.Regions)
            {
                for (ulong offset = 0; offset < region.Length; offset += 1UL << region.LargestPageShift)
                {
                    WalkResult walk = booted.Walk(region.Gva + offset);
                    Assert.That((walk.Rights, walk.Gpa, walk.PageShift), Is.EqualTo((region.Rights, region.Gpa + offset, region.LargestPageShift)), region.Name);
                    if (region.LargestPageShift == PageSize.Shift4K)
                    {
                        Assert.That(owners.TryAdd(walk.Gpa.Value, region.Name), Is.True, $"{region.Name} at {walk.Gpa}");
                        Assert.That(walk.Gpa.Value, Is.LessThan(booted.Layout.FirstFree.Value));
                    }
                }
            }
        }
    }

    [Test]
    public void Image_stacks_and_tables_account_for_every_frame_below_the_first_free_one([Values(0u, 3u)] uint ring)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));
        ulong mapped = booted.Layout.Regions.Where(region => region.LargestPageShift == PageSize.Shift4K).Aggregate(0UL, (sum, region) => sum + region.Length);

        Assert.That(
            booted.Layout.FirstFree.Value, Is.EqualTo((2 * BootedMachine.MiB) + mapped + ((ulong)booted.Layout.TableFrames * PageSize.Size4K)));
    }

    [TestCase(0u, 0xffff_ffff_ff20_0000UL, W | Nx | G)]
    [TestCase(3u, 0x7fff_ffff_e000UL, W | Nx | U)]
    public void The_stack_has_1_MiB_and_a_guard_page_below(uint ring, ulong top, PageRights rights)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));
        Gva bottom = new(top - BootedMachine.MiB);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(booted.Layout.StackPointer.Value, Is.InRange(top - 64, top - 8));
            Assert.That(booted.Walk(new Gva(top - 1)).Rights, Is.EqualTo(rights));
            Assert.That(booted.Walk(bottom).Rights, Is.EqualTo(rights));
            Assert.That(booted.Walk(new Gva(bottom.Value - 1)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(booted.Walk(new Gva(bottom.Value - PageSize.Size4K)).Failure, Is.EqualTo(WalkFailure.NotPresent));
        }
    }

    [TestCase(0u, Nx | G)]
    [TestCase(3u, Nx | U)]
    public void Boot_information_is_readable_in_the_ring_of_the_image(uint ring, PageRights rights)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));
        Gva at = booted.Layout.Information;
        ulong[] words = [.. Enumerable.Range(0, 9).Select(i => booted.Read64(at + ((ulong)i * 8)))];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(booted.Machine.Cpu.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(at.Value));
            Assert.That(booted.Walk(at).Rights, Is.EqualTo(rights));
            Assert.That(words, Is.EqualTo(new ulong[]
            {
                0x4b4c415744415551, 64, 128 * BootedMachine.MiB, DirectMap,
                booted.Layout.FirstFree.Value, 128 * BootedMachine.MiB, 0xd000_0000, 0xd001_0000, 0,
            }));
        }
    }

    [Test]
    public void The_direct_map_shows_memory_and_devices_to_the_supervisor_in_pages_of_2_MiB([Values(0u, 3u)] uint ring)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, ring));

        using (Assert.EnterMultipleScope())
        {
            foreach (ulong gpa in new ulong[] { 0, 0x1234, 0x20_0000, 0xbfff_ffff, 0xc000_0000, 0xd000_0000, 0xffff_ffff })
            {
                WalkResult walk = booted.Walk(new Gva(DirectMap + gpa));
                PageRights cache = gpa >= 0xc000_0000 ? PageRights.CacheDisable : 0;
                Assert.That((walk.Gpa, walk.PageShift, walk.Rights), Is.EqualTo((new Gpa(gpa), 21, W | Nx | G | cache)));
            }

            Assert.That(booted.Walk(new Gva(DirectMap + (4 * BootedMachine.GiB))).Failure, Is.EqualTo(WalkFailure.NotPresent));
            Assert.That(booted.Walk(new Gva(DirectMap), user: true).Failure, Is.EqualTo(WalkFailure.UserAccessToSupervisorPage));
        }
    }

    [Test]
    public void Registers_are_as_the_protocol_says([Values(0, 3)] int ring)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, (uint)ring));
        ref CpuState cpu = ref booted.Machine.Cpu.State;
        ulong protections = ring == 3 ? 0x30_0000UL : 0;
        ulong stack = cpu.Gpr[GeneralRegister.Rsp];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(cpu.Cpl, Is.EqualTo(ring));
            Assert.That(cpu.Rip, Is.EqualTo(ElfBuilder.Code));
            Assert.That(stack % 16, Is.EqualTo(ring == 0 ? 8 : 0));
            Assert.That(cpu.Cr0, Is.EqualTo(0x8001_0033));
            Assert.That(cpu.Cr3, Is.EqualTo(booted.Layout.Cr3));
            Assert.That(cpu.Cr4, Is.EqualTo(0x406a0 | protections));
            Assert.That(cpu.Msr.Efer, Is.EqualTo(0xd01));
            Assert.That(cpu.Msr.Star, Is.EqualTo(0x001b_0008_0000_0000));
            Assert.That(cpu.Msr.Lstar, Is.EqualTo(ring == 3 ? 0xffff_ffff_ff00_2000 : 0));
            Assert.That(cpu.Msr.Fmask & 0x4_4700, Is.EqualTo(0x4_4700), "TF, IF, DF, NT and AC");
            Assert.That(booted.Machine.Cpu.Rflags, Is.EqualTo(2));
            Assert.That(cpu.Segments[SegmentIndex.Cs].Selector, Is.EqualTo(ring == 3 ? 0x2b : 0x08));
            Assert.That(cpu.Segments[SegmentIndex.Ss].Selector, Is.EqualTo(ring == 3 ? 0x23 : 0x10));
            Assert.That(cpu.Segments[SegmentIndex.Cs].Attributes, Is.EqualTo(ring == 3 ? 0xa0_fb00 : 0xa0_9b00));
            Assert.That(cpu.Segments[SegmentIndex.Ss].Attributes, Is.EqualTo(ring == 3 ? 0xc0_f300 : 0xc0_9300));
            Assert.That((cpu.Tr.Selector, cpu.Tr.Attributes, cpu.Tr.Limit), Is.EqualTo(((ushort)0x30, 0x8b00u, 0x67u)));
            Assert.That((cpu.Idtr.Base, cpu.Idtr.Limit), Is.EqualTo((0UL, (ushort)0)));
        }
    }

    [Test]
    public void Descriptor_tables_hold_what_the_registers_were_loaded_with()
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram));
        ref CpuState cpu = ref booted.Machine.Cpu.State;
        Gva gdt = new(cpu.Gdtr.Base);
        Gva task = new(cpu.Tr.Base);
        ulong[] descriptors = [.. Enumerable.Range(0, 6).Select(i => booted.Read64(gdt + ((ulong)i * 8)))];
        ulong low = booted.Read64(gdt + 0x30);
        ulong systemStack = booted.Read64(task + 4);
        ulong interruptStack = booted.Read64(task + 0x24);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(cpu.Gdtr.Limit, Is.EqualTo(0x3f));
            Assert.That(descriptors, Is.EqualTo(new ulong[]
            {
                0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
            }));
            Assert.That(low & 0x0000_ff00_0000_ffff, Is.EqualTo(0x0000_8b00_0000_0067));
            Assert.That((booted.Read64(gdt + 0x38) << 32) | (low >> 16 & 0xff_ffff) | (low >> 56 << 24), Is.EqualTo(task.Value));
            foreach (ulong top in new[] { systemStack, interruptStack })
            {
                Assert.That(top % 16, Is.Zero);
                Assert.That(booted.Walk(new Gva(top - 8), AccessKind.Write).Succeeded, Is.True);
                Assert.That(booted.Walk(new Gva(top - 0x4001)).Failure, Is.EqualTo(WalkFailure.NotPresent));
            }
        }
    }

    [Test]
    public void A_ring_3_stack_holds_the_arguments_of_a_process()
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, 3));
        Gva stack = booted.Layout.StackPointer;
        ulong[] words = [.. Enumerable.Range(0, 6).Select(i => booted.Read64(stack + ((ulong)i * 8)))];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(words[0], Is.EqualTo(1));
            Assert.That(words[2..], Is.All.Zero);
            Assert.That(booted.Read64(new Gva(words[1])), Is.EqualTo(BitConverter.ToUInt64("guest\0\0\0"u8)));
        }
    }

    [TestCase(0u, 3)]
    [TestCase(3u, 0)]
    public void The_ring_can_be_chosen_against_the_image(uint own, int chosen)
    {
        using var booted = new BootedMachine(ram => BootedMachine.Elf(ram, own), ring: chosen);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(booted.Layout.Ring, Is.EqualTo(chosen));
            Assert.That(booted.Machine.Cpu.State.Cpl, Is.EqualTo(chosen));
            Assert.That(booted.Walk(new Gva(ElfBuilder.Code), user: true).Succeeded, Is.EqualTo(chosen == 3));
        }
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(-1)]
    public void Rings_1_and_2_cannot_be_chosen(int ring) =>
        Assert.That(() => new BootedMachine(ram => BootedMachine.Elf(ram), ring: ring), Throws.TypeOf<ArgumentOutOfRangeException>());
}
