using System.Runtime.Intrinsics;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Masked moves and gathers whose elements lie in pages of every kind, by the processor and by the emulator.</summary>
[TestFixture]
public sealed class AvxMemoryTests
{
    private const ulong Low = 0x60_0000, High = Low + Page, Page = 0x1000;
    private const ulong LowFrame = 0x11_0000, HighFrame = 0x13_0000;
    private const int Length = 32;

    private EmulatedGuest guest = null!;
    private bool emulates;

    /// <summary>Bytes 0 and up at the border of two pages.</summary>
    private void Begin(bool emulated, bool mapsHigh, int before)
    {
        emulates = emulated;
        guest.Paged.Map(Low, LowFrame);
        if (mapsHigh)
        {
            guest.Paged.Map(High, HighFrame);
        }

        for (int i = 0; i < Length; i++)
        {
            Byte(i, before) = (byte)(i + 1);
        }

        guest.State.Gpr[GeneralRegister.Rbx] = High - (ulong)before;
    }

    [SetUp]
    public void Create()
    {
        guest = new EmulatedGuest();
        guest.Paged.EnableAvx();
    }

    [TearDown]
    public void Dispose() => guest.Dispose();

    [Test]
    public void AMaskedLoadTouchesOnlyWhatItSelects([Values] bool emulated, [Range(0, 32, 2)] int before, [Values(0x00u, 0x01u, 0x0Fu, 0x80u, 0xA4u, 0x3Cu, 0xFFu)] uint mask)
    {
        Begin(emulated, mapsHigh: false, before);
        Register(0) = Vector256.Create((byte)0xEE);
        Register(1) = Mask(mask);
        ulong? fault = FirstFault(mask, before);

        BlockExit exit = Run(c => c.vmaskmovps(ymm0, ymm1, __ymmword_ptr[rbx]));

        Vector256<byte> expected = Vector256.Create((byte)0xEE);
        if (fault is null)
        {
            Span<byte> bytes = stackalloc byte[Length];
            for (int i = 0; i < Length; i++)
            {
                bytes[i] = (byte)((mask >> (i / 4) & 1) != 0 ? i + 1 : 0);
            }

            expected = Vector256.Create<byte>(bytes);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(fault is null ? BlockExit.Branch : BlockExit.Fault));
            Assert.That(fault is null ? "" : guest.Fault, Is.EqualTo(fault is null ? "" : $"#PF(0) {fault:x}"));
            Assert.That(Register(0), Is.EqualTo(expected));
        }
    }

    [Test]
    public void AMaskedStoreWritesAllThatItSelectsOrNothing([Values] bool emulated, [Range(0, 32, 2)] int before, [Values(0x00u, 0x01u, 0x0Fu, 0x80u, 0xA4u, 0x3Cu, 0xFFu)] uint mask)
    {
        Begin(emulated, mapsHigh: false, before);
        Register(1) = Mask(mask);
        Register(2) = Vector256.Create((byte)0xEE);
        ulong? fault = FirstFault(mask, before);

        BlockExit exit = Run(c => c.vpmaskmovd(__ymmword_ptr[rbx], ymm1, ymm2));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(fault is null ? BlockExit.Branch : BlockExit.Fault));
            Assert.That(fault is null ? "" : guest.Fault, Is.EqualTo(fault is null ? "" : $"#PF(2) {fault:x}"));
            for (int i = 0; i < Length; i++)
            {
                bool written = fault is null && (mask >> (i / 4) & 1) != 0;
                Assert.That(Byte(i, before), Is.EqualTo(written ? 0xEE : i + 1), $"byte {i}");
            }
        }
    }

    [Test]
    public void AGatherThatFaultsGoesOnWhereItStopped([Values] bool emulated, [Values] bool selectsFirst)
    {
        Begin(emulated, mapsHigh: false, before: Length);
        ulong faulting = High + 8;
        Register(0) = Vector256.Create((byte)0xEE);
        Register(1) = Vector256.Create(0, 4, 8, Length + 8, 12, 16, 20, 24).AsByte();
        Register(2) = Vector256.Create(selectsFirst ? -1 : 1, int.MinValue, 0, -1, -1, 0, -1, -1).AsByte();

        BlockExit first = Run(c => c.vpgatherdd(ymm0, __[rbx + ymm1], ymm2));
        string fault = guest.Fault;
        (Vector256<int> Result, Vector256<int> Mask) partial = (Register(0).AsInt32(), Register(2).AsInt32());
        guest.Paged.Map(High, HighFrame);
        Span<byte> late = guest.Paged.Ram(HighFrame + 8, 4);
        late.Fill(0x77);
        BlockExit second = Run(c => c.vpgatherdd(ymm0, __[rbx + ymm1], ymm2));

        const int Old = unchecked((int)0xEEEE_EEEE);
        int zero = selectsFirst ? 0x0403_0201 : Old;
        using (Assert.EnterMultipleScope())
        {
            Assert.That((first, fault), Is.EqualTo((BlockExit.Fault, $"#PF(0) {faulting:x}")));
            Assert.That(partial.Result, Is.EqualTo(Vector256.Create(zero, 0x0807_0605, Old, Old, Old, Old, Old, Old)));
            Assert.That(partial.Mask.ExtractMostSignificantBits(), Is.EqualTo(0b1101_1000));
            Assert.That(second, Is.EqualTo(BlockExit.Branch));
            Assert.That(Register(0).AsInt32(), Is.EqualTo(Vector256.Create(zero, 0x0807_0605, Old, 0x7777_7777, 0x100F_0E0D, Old, 0x1817_1615, 0x1C1B_1A19)));
            Assert.That(Register(2), Is.EqualTo(Vector256<byte>.Zero));
        }
    }

    /// <summary>The processor reads what is memory, the emulator goes on with what is not.</summary>
    [Test]
    public void AGatherIsFinishedByTheEmulatorWhereItReachesADevice()
    {
        Begin(emulated: false, mapsHigh: false, before: Length);
        guest.Paged.Map(High, EmulatedGuest.DeviceGpa);
        guest.Device.Bytes.AsSpan(0, 8).Fill(0x55);
        Register(1) = Vector256.Create(0L, Length, 8, 16).AsByte();
        Register(2) = Vector256<byte>.AllBitsSet;

        BlockExit exit = Run(c => c.vpgatherqq(ymm0, __[rbx + ymm1], ymm2));
        ulong left = Register(2).AsUInt64().ExtractMostSignificantBits();
        emulates = true;
        BlockExit rest = Run(c => c.vpgatherqq(ymm0, __[rbx + ymm1], ymm2));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, left, rest), Is.EqualTo((BlockExit.Mmio, 0b1110ul, BlockExit.Branch)));
            Assert.That(Register(0).AsUInt64(), Is.EqualTo(Vector256.Create(0x0807_0605_0403_0201ul, 0x5555_5555_5555_5555, 0x100F_0E0D_0C0B_0A09, 0x1817_1615_1413_1211)));
        }
    }

    /// <summary>Without a base register, 67 makes the address 32 bits of displacement and index.</summary>
    [TestCase("67C4E269900C0D20006000", 0x10_0000_0000, ExpectedResult = 0x2423_2221u, TestName = "67: [xmm1+disp32], index above 32 bits is a dword anyway")]
    [TestCase("67C4E269910C0D20006000", 0x10_0000_0000, ExpectedResult = 0x2423_2221u, TestName = "67: [xmm1+disp32], quadword index cut to 32 bits")]
    [TestCase("C4E269910C0D20006000", 0, ExpectedResult = 0x2423_2221u, TestName = "[xmm1+disp32]")]
    [TestCase("64C4E269910C0DE0FF5F00", 0, ExpectedResult = 0x2423_2221u, TestName = "fs:[xmm1+disp32], base 0x40")]
    public uint AGatherNeedsNoBase(string bytes, long index)
    {
        byte[] code = Convert.FromHexString(bytes);
        code[Array.IndexOf(code, (byte)0x0C)] = 0x04;
        guest.Paged.Map(Low, LowFrame);
        for (int i = 0; i < 64; i++)
        {
            guest.Paged.Ram(LowFrame, 64)[i] = (byte)(i + 1);
        }

        guest.State.Segments[SegmentIndex.Fs].Base = 0x40;
        Register(1) = Vector256.Create(index, 0, 0, 0).AsByte();
        Register(2) = Vector256.Create(-1, 0, 0, 0, 0, 0, 0, 0).AsByte();
        guest.Place(code);

        Assert.That(RunPlaced(), Is.EqualTo(BlockExit.Branch), guest.Fault);
        return Register(0).AsUInt32()[0];
    }

    [Test]
    public void WideMovesCrossPages([Values] bool emulated, [Range(1, 31, 3)] int before)
    {
        Begin(emulated, mapsHigh: true, before);

        BlockExit load = Run(c => c.vmovups(ymm3, __ymmword_ptr[rbx]));
        Vector256<byte> loaded = Register(3);
        Register(3) = ~loaded;
        BlockExit store = Run(c => c.vmovdqu(__ymmword_ptr[rbx], ymm3));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((load, store), Is.EqualTo((BlockExit.Branch, BlockExit.Branch)));
            for (int i = 0; i < Length; i++)
            {
                Assert.That((loaded[i], Byte(i, before)), Is.EqualTo(((byte)(i + 1), (byte)~(i + 1))), $"byte {i}");
            }
        }
    }

    [Test]
    public void AWideStoreIsWholeOrNothing([Values] bool emulated, [Values(1, 16, 31)] int before)
    {
        Begin(emulated, mapsHigh: false, before);

        BlockExit exit = Run(c => c.vmovups(__ymmword_ptr[rbx], ymm3));

        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, guest.Fault), Is.EqualTo((BlockExit.Fault, $"#PF(2) {High:x}")));
            Assert.That(Byte(0, before), Is.EqualTo(1));
        }
    }

    /// <summary>The flags that VCVTPS2PH would have set are not, where its write faults.</summary>
    [Test]
    public void AStoreOfHalvesThatFaultsLeavesMxcsr([Values] bool emulated)
    {
        Begin(emulated, mapsHigh: false, before: 8);
        Register(3) = Vector256.Create(1.0001f).AsByte();
        guest.State.Mxcsr = 0x1F80;

        BlockExit exit = Run(c => c.vcvtps2ph(__xmmword_ptr[rbx], ymm3, 4));

        Assert.That((exit, guest.State.Mxcsr), Is.EqualTo((BlockExit.Fault, 0x1F80u)));
    }

    private ref Vector256<byte> Register(int index) => ref CpuState.At<Vector256<byte>>(ref guest.State, SingleInstruction.Xmm(index));

    private static Vector256<byte> Mask(uint bits) =>
        Vector256.Equals(Vector256.Create(bits) & Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128), Vector256<uint>.Zero).AsByte() ^ Vector256<byte>.AllBitsSet;

    /// <summary>The first byte above the border that a selected element has; null where there is none.</summary>
    private static ulong? FirstFault(uint mask, int before)
    {
        for (int i = 0; i < Length / 4; i++)
        {
            if ((mask >> i & 1) != 0 && (i * 4) + 4 > before)
            {
                return High + (ulong)Math.Max(0, (i * 4) - before);
            }
        }

        return null;
    }

    private ref byte Byte(int index, int before)
    {
        ulong at = Page - (ulong)before + (ulong)index;
        return ref guest.Paged.Ram(at < Page ? LowFrame + at : HighFrame + at - Page, 1)[0];
    }

    private BlockExit Run(Action<Assembler> code)
    {
        guest.Place(code);
        guest.Cpu.FlushTlb();
        return RunPlaced();
    }

    private BlockExit RunPlaced()
    {
        if (emulates)
        {
            return guest.Emulate();
        }

        guest.Paged.Start(EmulatedGuest.Code);
        return guest.Paged.RunBlock(1, BlockMode.Single);
    }
}
