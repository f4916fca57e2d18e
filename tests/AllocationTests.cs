using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Running guest code allocates nothing once it is decoded.</summary>
[TestFixture]
public sealed class AllocationTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong Data = 0x50_0000;

    [TestCase(1ul)]
    [TestCase(1000ul)]
    [TestCase(1_000_000ul)]
    public void AMillionInstructionsAllocateNothing(ulong part)
    {
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame, length: 0x2000);
        guest.Map(Data, 0x10_0000, length: 0x10000);
        guest.Machine.WriteMemory(new(CodeFrame), RandomProgram.Make(new OperandSource(5)));
        HostState state = new();
        state.Gpr[4] = Data + 0x8000;
        state.Gpr[6] = Data + 0x1000 - 0x23;
        state.Gpr[7] = Data + 0x2000;
        GuestRegisters.Set(guest.Cpu, state);
        guest.Start(CodeAddress);
        guest.Machine.Run(200_000);
        for (int i = 0; i < 20_000; i++)
        {
            guest.Machine.Run(1);
        }

        long reports = AllocatedBy(() => _ = new StopReport(StopReason.Limit)) * (long)(1_000_000 / part);
        long allocated = AllocatedBy(() =>
        {
            for (ulong done = 0; done < 1_000_000; done += part)
            {
                guest.Machine.Run(part);
            }
        });
        Assert.That(allocated, Is.EqualTo(reports), "what Run returns, and nothing else");
    }

    [Test]
    public void MmioExitsAllocateNothing()
    {
        using PagedGuest guest = Loop([0x8A, 0x46, 0x05, 0xEB, 0xFB]);
        guest.Map(Data, PhysicalLayout.Uart.Value);
        guest.Cpu.State.Gpr[GeneralRegister.Rsi] = Data;
        ulong before = guest.Cpu.Counters.MmioExits;
        long reports = AllocatedBy(() => _ = new StopReport(StopReason.Limit));
        Assert.That(AllocatedBy(() => guest.Machine.Run(50_000)), Is.EqualTo(reports));
        Assert.That(guest.Cpu.Counters.MmioExits - before, Is.EqualTo(50_000), "one in two instructions, of twice 50000");
    }

    [Test]
    public void PageFaultsAllocateNothing()
    {
        const ulong Gdt = Data, Idt = Data + 0x100, Handler = CodeAddress + 0x100;
        using PagedGuest guest = Loop([0x8B, 0x01, 0xEB, 0xFC]);
        guest.Machine.WriteMemory(new(CodeFrame + 0x100), [0x48, 0x83, 0xC4, 0x08, 0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xCF]);
        guest.Map(Data, 0x10_0000, length: 0x2000);
        BitConverter.GetBytes(0x00AF_9B00_0000_FFFFul).CopyTo(guest.Ram(0x10_0008, 8));
        BitConverter.GetBytes(0x00CF_9300_0000_FFFFul).CopyTo(guest.Ram(0x10_0010, 8));
        ulong gate = (Handler & 0xFFFF) | (8ul << 16) | (0x8E00ul << 32) | ((Handler & 0xFFFF_0000) << 32);
        BitConverter.GetBytes(gate).CopyTo(guest.Ram(0x10_0100 + (14 * 16), 8));
        BitConverter.GetBytes(Handler >> 32).CopyTo(guest.Ram(0x10_0108 + (14 * 16), 8));
        ref CpuState cpu = ref guest.Cpu.State;
        cpu.Gdtr = new DescriptorTableRegister { Base = Gdt, Limit = 0x17 };
        cpu.Idtr = new DescriptorTableRegister { Base = Idt, Limit = 0xFFF };
        cpu.Segments[SegmentIndex.Cs].Selector = 8;
        cpu.Segments[SegmentIndex.Ss].Selector = 0x10;
        cpu.Gpr[GeneralRegister.Rsp] = Data + 0x2000;
        cpu.Gpr[GeneralRegister.Rcx] = 0x7000_0000;
        ulong before = guest.Cpu.Counters.Exceptions;
        long reports = AllocatedBy(() => _ = new StopReport(StopReason.Limit));
        Assert.That(AllocatedBy(() => guest.Machine.Run(40_000)), Is.EqualTo(reports));
        Assert.That(guest.Cpu.Counters.Exceptions - before, Is.EqualTo(20_000), "one in four instructions, of twice 40000");
    }

    [TestCase("blend", 2_000_000ul)]
    [TestCase("matmul", 4_000_000ul)]
    [TestCase("mandel80", 2_000_000ul)]
    public void VectorAndX87GuestsAllocateNothing(string guest, ulong warmUp)
    {
        using Machine machine = new(new MachineOptions());
        ImageLoader.Load(machine, ElfImage.Parse(File.ReadAllBytes(GuestSamples.PathOf(guest + ".elf")), machine.Options.RamBytes));
        machine.Run(warmUp);
        long reports = AllocatedBy(() => _ = new StopReport(StopReason.Limit));
        Assert.That(AllocatedBy(() => machine.Run(1_000_000)), Is.EqualTo(reports));
    }

    private static PagedGuest Loop(byte[] code)
    {
        PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Machine.WriteMemory(new(CodeFrame), code);
        guest.Start(CodeAddress);
        return guest;
    }

    private static long AllocatedBy(Action action)
    {
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
