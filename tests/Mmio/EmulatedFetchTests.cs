using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>How the emulator comes by the instruction: pages, rights, bytes that are nowhere, and bytes that changed since the last time.</summary>
[TestFixture]
public sealed class EmulatedFetchTests
{
    private const ulong DevicePage = 0x60_0000;
    private const ulong NextPage = EmulatedGuest.Code + 0x1000;
    private const ulong NextFrame = EmulatedGuest.CodeFrame - 0x3000;
    private const string Written = "w8@10=4433221100000000";
    private const int Length = 11;

    /// <summary>Eleven bytes, with displacement and immediate of four each.</summary>
    private static readonly byte[] Store = EmulatedGuest.Assemble(c => c.mov(__qword_ptr[rbx + 0x12345678], 0x11223344));

    private static EmulatedGuest Make()
    {
        EmulatedGuest guest = new();
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa, PageRights.Write | PageRights.User);
        Point(guest);
        return guest;
    }

    private static void Point(EmulatedGuest guest) => guest.State.Gpr[GeneralRegister.Rbx] = unchecked(DevicePage + 0x10 - 0x12345678);

    /// <summary>Puts the store across the end of the code page; the rest of it lies in a frame elsewhere.</summary>
    private static ulong PlaceAcross(EmulatedGuest guest, ReadOnlySpan<byte> code, int before)
    {
        guest.Place(code[..before].ToArray(), 0x1000 - (ulong)before);
        guest.Paged.Machine.WriteMemory(new Gpa(NextFrame), code[before..]);
        return NextPage - (ulong)before;
    }

    [Test]
    public void AnInstructionMayCrossAPage([Range(1, Length - 1)] int before)
    {
        using EmulatedGuest guest = Make();
        ulong rip = PlaceAcross(guest, Store, before);
        BlockExit missing = guest.Emulate(rip);
        string missingFault = guest.Fault;
        guest.Paged.Map(NextPage, NextFrame, PageRights.Write | PageRights.NoExecute);
        BlockExit forbidden = guest.Emulate(rip);
        string forbiddenFault = guest.Fault;
        string quiet = guest.Device.Log;
        guest.Paged.Map(NextPage, NextFrame);
        BlockExit mapped = guest.Emulate(rip);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((missing, missingFault), Is.EqualTo((BlockExit.Fault, $"#PF(10) {NextPage:x}")));
            Assert.That((forbidden, forbiddenFault), Is.EqualTo((BlockExit.Fault, $"#PF(11) {NextPage:x}")));
            Assert.That(quiet, Is.Empty);
            Assert.That((mapped, guest.Device.Log), Is.EqualTo((BlockExit.Branch, Written)));
            Assert.That(guest.State.Rip, Is.EqualTo(rip + Length));
        }
    }

    [Test]
    public void AnInstructionThatEndsWithItsPageNeedsNoOther()
    {
        using EmulatedGuest guest = Make();
        Assert.That(guest.Emulate(PlaceAcross(guest, Store, Length)), Is.EqualTo(BlockExit.Branch), guest.Fault);
        Assert.That(guest.Device.Log, Is.EqualTo(Written));
    }

    /// <summary>Bytes that are no instruction, whole, cut, or too long: the emulator raises what the processor raises.</summary>
    [Test]
    public void BytesThatAreNoInstructionRaiseWhatTheProcessorRaises(
        [Values("0f0b", "f0488b03", "06", "666666666666666666666666666666", "66666666666666666666666666666690", "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90")] string bytes,
        [Values] bool isNextMapped)
    {
        byte[] code = Convert.FromHexString(bytes);
        for (int before = 1; before <= code.Length; before++)
        {
            using EmulatedGuest guest = Make();
            ulong rip = PlaceAcross(guest, code, before);
            if (isNextMapped)
            {
                guest.Paged.Map(NextPage, NextFrame);
            }

            guest.Paged.Start(rip);
            BlockExit exit = guest.Paged.RunBlock(1, BlockMode.Single);
            GuestFault expected = guest.Cpu.PendingFault;
            BlockExit emulated = guest.Emulate(rip);
            Assert.That((emulated, guest.Cpu.PendingFault), Is.EqualTo((BlockExit.Fault, expected)), $"{before} bytes before the border");
            Assert.That((exit, guest.State.Rip), Is.EqualTo((BlockExit.Fault, rip)));
        }
    }

    [TestCase(0x1000, Description = "all of it on the device")]
    [TestCase(5, Description = "its end on the device")]
    public void CodeOnADeviceIsNoInstruction(int before)
    {
        using EmulatedGuest guest = Make();
        ulong rip = before > Length ? NextPage : PlaceAcross(guest, Store, before);
        guest.Paged.Map(NextPage, EmulatedGuest.DeviceGpa);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(rip), Is.EqualTo(BlockExit.Fault));
            Assert.That(guest.Fault, Is.EqualTo("#UD FetchFromNowhere"));
            Assert.That(guest.Device.Log, Is.Empty);
            Assert.That(guest.State.Rip, Is.EqualTo(rip));
        }
    }

    /// <summary>A table that the access path cannot reach is the same fault as a table that the processor cannot reach.</summary>
    [Test]
    public void TablesOutOfReachAreAPageFault([Values] bool isCode, [Values] bool onDevice)
    {
        const ulong Lost = 0x80_0000_0000;
        using EmulatedGuest guest = Make();
        ulong entry = (onDevice ? EmulatedGuest.DeviceGpa : EmulatedGuest.Nowhere) | 3;
        guest.Paged.Machine.WriteMemory(new Gpa(guest.Paged.Pages.Cr3 + 8), BitConverter.GetBytes(entry));
        guest.Place(Store);
        guest.State.Gpr[GeneralRegister.Rbx] = Lost - 0x12345678;
        ulong rip = isCode ? Lost : EmulatedGuest.Code;
        guest.Paged.Start(rip);
        BlockExit processor = guest.Paged.RunBlock();
        GuestFault expected = guest.Cpu.PendingFault;
        BlockExit exit = guest.Emulate(rip);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((processor, exit), Is.EqualTo((BlockExit.Fault, BlockExit.Fault)));
            Assert.That(guest.Cpu.PendingFault, Is.EqualTo(expected));
            Assert.That(expected.Cause.Walk.Failure, Is.EqualTo(WalkFailure.EntryUnreachable));
            Assert.That(guest.Device.Log, Is.Empty);
        }
    }

    [TestCase(7, (byte)0x99, "w8@10=9933221100000000", Description = "immediate")]
    [TestCase(3, (byte)0x79, "w8@11=4433221100000000", Description = "displacement")]
    [TestCase(0, (byte)0x40, "w4@10=44332211", Description = "prefix")]
    [TestCase(1, (byte)0x81, "r8@10=1011121314151617 w8@10=5444342414151617", Description = "opcode: add")]
    public void ChangedBytesAreDecodedAnew(int at, byte value, string log)
    {
        foreach (int before in (int[])[Length, 1, 2, 4, 8])
        {
            using EmulatedGuest guest = Make();
            guest.Paged.Map(NextPage, NextFrame);
            ulong rip = PlaceAcross(guest, Store, before);
            BlockExit first = guest.Emulate(rip);
            guest.Device.Reset();
            byte[] patched = [.. Store];
            patched[at] = value;
            PlaceAcross(guest, patched, before);
            BlockExit second = guest.Emulate(rip);
            using (Assert.EnterMultipleScope())
            {
                Assert.That((first, second), Is.EqualTo((BlockExit.Branch, BlockExit.Branch)));
                Assert.That(guest.Device.Log, Is.EqualTo(log), $"{before} bytes before the border");
            }

            PlaceAcross(guest, Store, before);
            guest.Device.Reset();
            guest.Emulate(rip);
            Assert.That(guest.Device.Log, Is.EqualTo(Written));
        }
    }

    [Test]
    public void ARemappedPageIsDecodedAnew()
    {
        const ulong OtherFrame = EmulatedGuest.CodeFrame + 0x2000;
        using EmulatedGuest guest = Make();
        guest.Place(Store);
        guest.Place(EmulatedGuest.Assemble(c => c.mov(__byte_ptr[rbx + 0x12345678], 0x77)), OtherFrame - EmulatedGuest.CodeFrame);
        foreach ((ulong frame, string log) in ((ulong, string)[])[(EmulatedGuest.CodeFrame, Written), (OtherFrame, "w1@10=77"), (EmulatedGuest.CodeFrame, Written)])
        {
            guest.Paged.Map(EmulatedGuest.Code, frame);
            guest.Device.Reset();
            guest.Emulate();
            Assert.That(guest.Device.Log, Is.EqualTo(log));
        }
    }

    /// <summary>RIP-relative operands make equal bytes at two addresses two instructions, also where they share an entry of the cache.</summary>
    [TestCase(0x101ul)]
    [TestCase(0x040ul)]
    [TestCase(0x202ul)]
    public void EqualBytesElsewhereAreAnotherInstruction(ulong distance)
    {
        using EmulatedGuest guest = new();
        guest.Paged.Map(NextPage, EmulatedGuest.DeviceGpa);
        byte[] code = [0x88, 0x05, 0x0A, 0x10, 0x00, 0x00];
        guest.Place(code);
        guest.Place(code, distance);
        for (int round = 0; round < 2; round++)
        {
            guest.Device.Reset();
            guest.Emulate();
            guest.Emulate(EmulatedGuest.Code + distance);
            Assert.That(guest.Device.Log, Is.EqualTo($"w1@10=00 w1@{0x10 + distance:x}=00"));
        }
    }

    /// <summary>What an instruction is depends on the mode, and so does what is kept of it.</summary>
    [Test]
    public void AModeIsPartOfWhatWasDecoded()
    {
        using EmulatedGuest guest = Make();
        guest.Place(c => c.movups(xmm0, __[rbx + 0x12345678]));
        foreach ((ulong cr0, ulong cr4, string outcome) in ((ulong, ulong, string)[])
            [(0, Cr4.OSFXSR, "Branch"), (0, 0, "#UD SseDisabled"), (Cr0.TS, Cr4.OSFXSR, "#NM TaskSwitched"), (0, Cr4.OSFXSR, "Branch"), (Cr0.EM, Cr4.OSFXSR, "#UD SseDisabled")])
        {
            guest.State.Cr0 = (guest.State.Cr0 & ~(Cr0.TS | Cr0.EM)) | cr0;
            guest.State.Cr4 = (guest.State.Cr4 & ~Cr4.OSFXSR) | cr4;
            guest.Cpu.ContextChanged();
            BlockExit exit = guest.Emulate();
            Assert.That(exit == BlockExit.Branch ? "Branch" : guest.Fault, Is.EqualTo(outcome));
        }
    }
}
