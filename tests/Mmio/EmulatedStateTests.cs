using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Operands of more than 32 bytes through the emulator: extended state and direct stores, in RAM and on a device.</summary>
[TestFixture]
internal sealed class EmulatedStateTests
{
    private const ulong Data = 0x60_0000;
    private const ulong Frame = 0x11_0000;
    private const ulong Device = 0x70_0000;
    private const ulong Straddling = 0x1000 - 256;

    private static readonly byte[] Contents = [.. Enumerable.Range(0, 0x2000).Select(i => (byte)(i * 7))];

    private static IEnumerable<TestCaseData<Action<Assembler>>> Saves()
    {
        yield return Case("XSAVE64", c => c.xsave64(__[rbx]));
        yield return Case("XSAVEOPT", c => c.xsaveopt(__[rbx]));
        yield return Case("XSAVEC64", c => c.xsavec64(__[rbx]));
        yield return Case("XSAVES", c => c.xsaves(__[rbx]));
    }

    /// <summary>Pages apart, so that an area goes over the edge of one; what the processor leaves in RAM the emulator leaves there and on a device.</summary>
    [TestCaseSource(nameof(Saves))]
    public void AnAreaIsWhatTheProcessorWrites(Action<Assembler> write)
    {
        using EmulatedGuest guest = Make(write);
        Load(guest, Data + Straddling);
        BlockExit exit = guest.Paged.RunBlock(1, BlockMode.Single);
        byte[] expected = [.. guest.Paged.Ram(Frame, 0x1000), .. guest.Paged.Ram(Frame + 0x4000, 0x1000)];

        Load(guest, Data + Straddling);
        BlockExit emulated = guest.Emulate();
        byte[] inRam = [.. guest.Paged.Ram(Frame, 0x1000), .. guest.Paged.Ram(Frame + 0x4000, 0x1000)];

        Load(guest, Device + Straddling);
        BlockExit onDevice = guest.Emulate();
        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, emulated, onDevice), Is.EqualTo((BlockExit.Branch, BlockExit.Branch, BlockExit.Branch)), guest.Fault);
            Assert.That(expected.SequenceEqual(Contents), Is.False);
            Assert.That(inRam, Is.EqualTo(expected));
            Assert.That(guest.Device.Bytes.AsSpan(0, 0x2000).ToArray(), Is.EqualTo(expected));
        }
    }

    [Test]
    public void AnAreaOnADeviceIsLoaded([Values] bool compacted)
    {
        using EmulatedGuest guest = Make(c => c.xrstor64(__[rbx]));
        Load(guest, Device + Straddling);
        Span<byte> area = guest.Device.Bytes.AsSpan((int)Straddling);
        area[512..576].Clear();
        area[512] = 3;
        BitConverter.TryWriteBytes(area[520..], compacted ? (1ul << 63) | 3 : 0);
        BitConverter.TryWriteBytes(area[24..], 0x3F80ul);
        guest.State.Gpr[GeneralRegister.Rax] = 3;
        BlockExit exit = guest.Emulate();
        byte[] xmm5 = new byte[16];
        for (int i = 0; i < 16; i++)
        {
            xmm5[i] = guest.State.Vector[5][i];
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Branch), guest.Fault);
            Assert.That(guest.State.Mxcsr, Is.EqualTo(0x3F80));
            Assert.That(xmm5, Is.EqualTo(area[(160 + 80)..(160 + 96)].ToArray()));
        }
    }

    [Test]
    public void ADirectStoreIsOneAccess()
    {
        using EmulatedGuest guest = Make(c => c.movdir64b(rax, __[rbx]));
        Load(guest, Data + 0x13);
        guest.Device.Reset();
        guest.State.Gpr[GeneralRegister.Rax] = Device + 0x40;
        BlockExit exit = guest.Emulate();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Branch), guest.Fault);
            Assert.That(guest.Device.Log, Is.EqualTo($"w64@40={Convert.ToHexString(Contents.AsSpan(0x13, 64))}").IgnoreCase);
        }
    }

    private static TestCaseData<Action<Assembler>> Case(string name, Action<Assembler> write) =>
        new TestCaseData<Action<Assembler>>(write).SetArgDisplayNames(name);

    private static EmulatedGuest Make(Action<Assembler> write)
    {
        EmulatedGuest guest = new();
        guest.Place(write);
        for (ulong page = 0; page < 2; page++)
        {
            guest.Paged.Map(Data + (page * 0x1000), Frame + (page * 0x4000), PageRights.Write);
            guest.Paged.Map(Device + (page * 0x1000), EmulatedGuest.DeviceGpa + (page * 0x1000), PageRights.Write);
        }

        guest.State.Cr4 |= Cr4.OSXSAVE;
        guest.State.Xcr0 = 0x207;
        guest.Cpu.FlushTlb();
        return guest;
    }

    private static void Load(EmulatedGuest guest, ulong area)
    {
        Contents.AsSpan(0, 0x1000).CopyTo(guest.Paged.Ram(Frame, 0x1000));
        Contents.AsSpan(0x1000, 0x1000).CopyTo(guest.Paged.Ram(Frame + 0x4000, 0x1000));
        Contents.CopyTo(guest.Device.Bytes.AsSpan());
        OperandSource source = new(9);
        HostState state = new() { Mxcsr = 0x5FA0 };
        for (int i = 0; i < 16; i++)
        {
            state.Xmm[i] = source.NextXmm();
            state.YmmHigh[i] = source.NextXmm();
        }

        state.Gpr[GeneralRegister.Rax] = 0x207;
        state.Gpr[GeneralRegister.Rbx] = area;
        GuestRegisters.Set(guest.Cpu, state);
        guest.State.Pkru = 0x30;
        guest.Paged.Start(EmulatedGuest.Code);
    }
}
