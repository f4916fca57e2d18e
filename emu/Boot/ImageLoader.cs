using System.Buffers.Binary;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Boots images: puts them into guest memory with page tables, stack and boot information, and sets the registers.</summary>
/// <remarks>
/// An ELF image's segments get frames of their own from 2 MiB on. A flat image in ring 0 and the lower half is loaded at the
/// guest-physical address it names, and all RAM is mapped to itself; any other flat image is mapped as a segment would be.
/// Pages cannot be made unreadable, so a segment without rights is readable. A page that segments share has the rights of all of them.
/// </remarks>
public static class ImageLoader
{
    private const ulong MiB = 1UL << 20;

    /// <summary>Puts <paramref name="image"/> into a machine that has run nothing yet, ready to run.</summary>
    /// <param name="machine">The machine; its RAM holds zeros.</param>
    /// <param name="image">The image.</param>
    /// <param name="ring">The privilege level to start in, 0 or 3, instead of the image's own.</param>
    /// <exception cref="ImageFormatException">The image does not fit in RAM, or lies where it cannot.</exception>
    /// <exception cref="ArgumentException">The ring is neither 0 nor 3, or there is more RAM than the direct map has room for.</exception>
    public static BootLayout Load(Machine machine, GuestImage image, int? ring = null)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(image);
        int level = ring ?? image.Ring;
        if (level is not (0 or 3))
        {
            throw new ArgumentOutOfRangeException(nameof(ring), level, "an image starts in ring 0 or 3");
        }

        ulong ram = machine.Options.RamBytes;
        ulong mostRam = Math.Min(BootAddresses.DirectMapRoom, 1UL << machine.Cpu.Features.PhysicalAddressBits) - PhysicalLayout.HoleBytes;
        if (ram > mostRam)
        {
            throw new ArgumentException($"0x{ram:x} bytes of RAM are more than the processor and the direct map can address", nameof(machine));
        }

        BootPlan plan = BootPlan.Make(image, level, ram);
        if (!plan.TryChooseRoom(out ulong start, out ulong end))
        {
            ulong needed = RamNeeded(image, level, ram);
            string remedy = needed <= mostRam / MiB ? $"give the machine -m {needed}M" : "no machine has that much, load it at another address";
            throw new ImageFormatException($"the image with its stack and page tables does not fit in 0x{ram:x} bytes of RAM: {remedy}");
        }

        return Load(machine, image, level, plan, new BootFrames(start, end));
    }

    private static BootLayout Load(Machine machine, GuestImage image, int ring, BootPlan plan, BootFrames frames)
    {
        List<BootRegion> regions = Place(plan, frames);
        var tables = new PageTableBuilder(machine.Access, frames.TakeFrame);
        foreach (BootRegion region in regions)
        {
            tables.Map(region.Gva, region.Gpa, region.Length, region.Rights, region.LargestPageShift);
        }

        var memory = new BootMemory(machine, regions);
        foreach (ImageSegment segment in image.Segments)
        {
            memory.Write(segment.Address, segment.Contents.Span);
        }

        BootShim shim = ring == 3 ? BootShim.SystemCalls() : BootShim.Return();
        Gva information = ring == 3 ? BootAddresses.UserInformation : BootAddresses.SupervisorInformation;
        memory.Write(BootAddresses.Shim, shim.Code);
        memory.Write(BootAddresses.Descriptors, BootDescriptors.Build(shim.PageFaultHandler));
        memory.Write(information, BootInformation.Build(machine.Options.RamBytes, frames.FirstFree, frames.FreeEnd));
        Gva stackPointer = ring == 3 ? PushProcess(memory) : PushReturn(memory);
        BootRegisters.Set(machine.Cpu, ring, image.Entry, stackPointer, information, tables.Cr3);
        FirmwareMemoryTypes.Set(machine.Cpu, machine.Options.RamBytes);
        return new BootLayout(
            image.Entry, ring, tables.Cr3, stackPointer, information, frames.FirstFree, frames.FreeEnd, tables.TableFrames, regions);
    }

    private static List<BootRegion> Place(BootPlan plan, BootFrames frames)
    {
        List<BootRegion> regions = [];
        foreach (BootRange range in plan.Ranges)
        {
            if (range.Gpa is { } gpa)
            {
                regions.Add(new BootRegion(range.Name, range.Gva, gpa, range.Length, range.Rights, range.LargestPageShift));
                continue;
            }

            Gva gva = range.Gva;
            foreach ((Gpa frame, ulong length) in frames.Take(range.Length))
            {
                regions.Add(new BootRegion(range.Name, gva, frame, length, range.Rights));
                gva += length;
            }
        }

        return regions;
    }

    private static Gva PushReturn(BootMemory memory)
    {
        Span<byte> address = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(address, BootAddresses.Shim.Value);
        Gva stackPointer = new(BootAddresses.SupervisorStackTop.Value - sizeof(ulong));
        memory.Write(stackPointer, address);
        return stackPointer;
    }

    // argc, argv[0], NULL, no environment, AT_NULL with its value, and the name above them: System V ABI, figure 3.9.
    private static Gva PushProcess(BootMemory memory)
    {
        const int name = 48;
        Span<byte> frame = stackalloc byte[64];
        frame.Clear();
        Gva stackPointer = new(BootAddresses.UserStackTop.Value - (ulong)frame.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(frame, 1);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[8..], stackPointer.Value + name);
        "guest"u8.CopyTo(frame[name..]);
        memory.Write(stackPointer, frame);
        return stackPointer;
    }

    /// <summary>The least RAM in MiB, beyond what is too little, that the image boots in.</summary>
    private static ulong RamNeeded(GuestImage image, int ring, ulong tooLittle)
    {
        BootPlan plan = BootPlan.Make(image, ring, tooLittle);
        ulong ram = Math.Max(tooLittle, plan.OwnRam?.End ?? 0);
        while (true)
        {
            ram = (ram + MiB - 1) / MiB * MiB;
            plan = BootPlan.Make(image, ring, ram);
            if (plan.TryChooseRoom(out _, out _))
            {
                return ram / MiB;
            }

            ram = Math.Max(ram + 1, Math.Max(BootFrames.Start, plan.OwnRam?.End ?? 0) + plan.FrameBytes);
        }
    }
}
