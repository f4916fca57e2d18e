using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Mistakes that other hypervisors' emulators have made, one test each.</summary>
[TestFixture]
internal sealed class KnownMistakesTests
{
    private const ulong DevicePage = 0x60_0000;
    private const ulong RamPage = 0x61_0000;
    private const ulong RamFrame = 0x11_0000;

    private EmulatedGuest guest = null!;

    [SetUp]
    public void Make()
    {
        guest = new EmulatedGuest();
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa, length: 0x2000);
        guest.Paged.Map(RamPage, RamFrame);
        guest.Device.Reset();
        Registers[GeneralRegister.Rbx] = DevicePage + 0x10;
        Registers[GeneralRegister.Rdi] = DevicePage + 0x20;
        Registers[GeneralRegister.Rsi] = RamPage + 0x30;
        Registers[GeneralRegister.Rax] = 0xA7A6_A5A4_A3A2_A1A0;
        Registers[GeneralRegister.Rcx] = 3;
    }

    [TearDown]
    public void DisposeGuest() => guest.Dispose();

    private ref Emulation.GeneralRegisters Registers => ref guest.Cpu.State.Gpr;

    private BlockExit Emulate(Action<Assembler> write)
    {
        guest.Place(write);
        return guest.Emulate();
    }

    [Test]
    public void StosWritesRdiBack([Values] bool repeated, [Values] bool down)
    {
        guest.Cpu.Rflags = Rflags.Fixed | (down ? Rflags.DF : 0);
        Emulate(repeated ? c => c.rep.stosd() : c => c.stosd());
        int count = repeated ? 3 : 1;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Registers[GeneralRegister.Rdi], Is.EqualTo(DevicePage + 0x20 + (ulong)((down ? -4 : 4) * count)));
            Assert.That(Registers[GeneralRegister.Rcx], Is.EqualTo(repeated ? 0 : 3));
        }
    }

    [TestCase(0x8000_0000u, 0u, Rflags.SF | Rflags.PF)]
    [TestCase(0u, 0u, Rflags.ZF | Rflags.PF)]
    [TestCase(1u, 0u, 0ul)]
    public void OrSetsFlags(uint operand, uint other, ulong expected)
    {
        BitConverter.TryWriteBytes(guest.Device.Bytes.AsSpan(0x10), operand);
        Registers[GeneralRegister.Rax] = other;
        guest.Cpu.Rflags = Rflags.Fixed | Rflags.CF | Rflags.OF;
        Emulate(c => c.or(__dword_ptr[rbx], eax));
        const ulong Defined = Rflags.CF | Rflags.OF | Rflags.SF | Rflags.ZF | Rflags.PF;
        Assert.That(guest.Cpu.Rflags & Defined, Is.EqualTo(expected));
    }

    /// <summary>A count of 2^32 is not 0, and one of 2^32 + 2 not 2.</summary>
    [TestCase(0x1_0000_0000ul)]
    [TestCase(0x1_0000_0002ul)]
    public void TheCountOf64BitCodeIsRcx(ulong count)
    {
        Registers[GeneralRegister.Rcx] = count;
        Registers[GeneralRegister.Rsi] = DevicePage;
        guest.Device.IsLogging = false;
        guest.Paged.Unmap(DevicePage + 0x1000);
        BlockExit exit = Emulate(c => c.rep.lodsb());
        Assert.That((exit, Registers[GeneralRegister.Rcx]), Is.EqualTo((BlockExit.Fault, count - 0x1000)), "the next page is not there");
    }

    [Test]
    public void TheCountWithAnAddressSizePrefixIsEcx()
    {
        Registers[GeneralRegister.Rcx] = 0xFFFF_FFFF_0000_0002;
        guest.Place([0x67, 0xF3, 0xAA]);
        guest.Emulate();
        Assert.That((guest.Device.Log, Registers[GeneralRegister.Rcx]), Is.EqualTo(("w1@20=a0 w1@21=a0", 0ul)));
    }

    [Test]
    public void ACompareExchangeThatFailsWritesTheOldValueAndLoadsIt([Values] bool locked)
    {
        Emulate(c => (locked ? c.@lock : c).cmpxchg(__[rbx], ecx));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Device.Log, Is.EqualTo("r4@10=10111213 w4@10=10111213"));
            Assert.That(Registers[GeneralRegister.Rax], Is.EqualTo(0x1312_1110ul));
            Assert.That(guest.Cpu.Rflags & Rflags.ZF, Is.Zero);
        }
    }

    [TestCase(0ul, "r16@10=101112131415161718191a1b1c1d1e1f w16@10=101112131415161718191a1b1c1d1e1f", "Branch")]
    [TestCase(8ul, "", "#GP MisalignedOperand")]
    [TestCase(1ul, "", "#GP MisalignedOperand")]
    public void ALockedAccessOf16BytesIsDoneOrRefused(ulong off, string log, string outcome)
    {
        Registers[GeneralRegister.Rbx] += off;
        BlockExit exit = Emulate(c => c.@lock.cmpxchg16b(__[rbx]));
        Assert.That((guest.Device.Log, exit == BlockExit.Branch ? "Branch" : guest.Fault), Is.EqualTo((log, outcome)));
    }

    [Test]
    public void AStoreAcrossPagesWritesNothingBeforeBothAreChecked()
    {
        guest.Paged.Map(DevicePage + 0x1000, RamFrame, PageRights.None);
        Registers[GeneralRegister.Rbx] = DevicePage + 0xFFD;
        BlockExit exit = Emulate(c => c.mov(__[rbx], rax));
        Assert.That((exit, guest.Fault, guest.Device.Log), Is.EqualTo((BlockExit.Fault, $"#PF(3) {DevicePage + 0x1000:x}", "")));
    }

    [TestCase((byte)0x64, SegmentIndex.Fs)]
    [TestCase((byte)0x65, SegmentIndex.Gs)]
    public void StringMovesTakeASegmentOverrideForTheirSource(byte prefix, int segment)
    {
        guest.State.Segments[segment].Base = 0x40;
        guest.Paged.Ram(RamFrame + 0x70, 4).Fill(0x77);
        guest.Place([prefix, 0xA5]);
        guest.Emulate();
        Assert.That(guest.Device.Log, Is.EqualTo("w4@20=77777777"));
    }

    [Test]
    public void ARipRelativeOperandCountsFromTheEndOfTheInstructionWithItsImmediate()
    {
        guest.Paged.Map(EmulatedGuest.Code + 0x1000, EmulatedGuest.DeviceGpa);
        guest.Place([0x48, 0xC7, 0x05, 0x05, 0x10, 0x00, 0x00, 0x44, 0x33, 0x22, 0x11]);
        guest.Emulate();
        Assert.That(guest.Device.Log, Is.EqualTo("w8@10=4433221100000000"));
    }

    [Test]
    public void AnAddressSizePrefixLeavesDisplacementAndImmediateAsTheyAre()
    {
        Registers[GeneralRegister.Rbx] = 0xFFFF_FFFF_0000_0000 | unchecked((uint)(DevicePage + 0x10 - 0x12345678));
        guest.Place([0x67, 0xC7, 0x83, 0x78, 0x56, 0x34, 0x12, 0x44, 0x33, 0x22, 0x11]);
        BlockExit exit = guest.Emulate();
        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, guest.Device.Log), Is.EqualTo((BlockExit.Branch, "w4@10=44332211")));
            Assert.That(guest.State.Rip, Is.EqualTo(EmulatedGuest.Code + 11));
        }
    }
}
