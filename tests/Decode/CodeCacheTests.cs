using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Decoded code never outlives the bytes or the mapping it came from.</summary>
[TestFixture]
public sealed class CodeCacheTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong Alias = 0x60_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong OtherFrame = 0x22_0000;
    private const ulong Target = CodeAddress + 0x800;
    private const ulong ImmediateFrame = CodeFrame + 0x801;
    private const ulong Stack = 0x50_1000;
    private const byte Hlt = 0xF4;

    /// <summary>Ways to change the dword at R9 from 1 to 2.</summary>
    private static readonly (string Name, Action<Assembler> Write)[] Patches =
    [
        ("mov byte", c => c.mov(__byte_ptr[r9], 2)),
        ("add byte", c => c.add(__byte_ptr[r9], 1)),
        ("mov dword", c => c.mov(__dword_ptr[r9], 2)),
        ("xchg", c => { c.mov(edx, 2); c.xchg(__dword_ptr[r9], edx); }),
        ("cmpxchg", c => { c.mov(eax, 1); c.mov(edx, 2); c.@lock.cmpxchg(__dword_ptr[r9], edx); }),
        ("bts and btr", c => { c.bts(__dword_ptr[r9], 1); c.btr(__dword_ptr[r9], 0); }),
        ("stosb", c => { c.lea(rdi, __[r9]); c.mov(al, 2); c.stosb(); }),
        ("rep stosb", c => { c.lea(rdi, __[r9]); c.mov(eax, 2); c.mov(ecx, 1); c.rep.stosb(); }),
        ("push", c => { c.mov(rbx, rsp); c.mov(rdx, __qword_ptr[r9]); c.inc(rdx); c.lea(rsp, __[r9 + 8]); c.push(rdx); c.mov(rsp, rbx); }),
        ("through another mapping", c => { c.mov(r8, Alias - CodeAddress); c.mov(__byte_ptr[r9 + r8], 2); }),
    ];

    private static IEnumerable<TestCaseData> Names() => Enumerable.Range(0, Patches.Length).Select(i => new TestCaseData(i).SetArgDisplayNames(Patches[i].Name));

    [TestCaseSource(nameof(Names))]
    public void APatchToTheNextInstructionIsSeen(int patch)
    {
        using PagedGuest guest = Make(Patches[patch].Write);
        Assert.That(RunToHalt(guest), Is.EqualTo(2));
    }

    [TestCaseSource(nameof(Names))]
    public void APatchToABlockThatRanIsSeen(int patch)
    {
        using PagedGuest guest = Make(Patches[patch].Write);
        for (int round = 0; round < 3; round++)
        {
            guest.Machine.WriteMemory(new Gpa(ImmediateFrame), [1]);
            Assert.That(RunToHalt(guest, Target), Is.EqualTo(1));
            Assert.That(RunToHalt(guest), Is.EqualTo(2));
            Assert.That(RunToHalt(guest, Target), Is.EqualTo(2));
        }
    }

    [Test]
    public void APatchOfItsOwnLoopIsSeenInTheNextRound()
    {
        using PagedGuest guest = Make(c =>
        {
            Label top = c.CreateLabel();
            c.mov(ecx, 50);
            c.Label(ref top);
            c.nop();
            Label patched = c.CreateLabel();
            c.lea(rdx, __[patched]);
            c.Label(ref patched);
            c.mov(rbx, 0x1122_3344_5566_7700);
            c.inc(__byte_ptr[rdx + 2]);
            c.dec(ecx);
            c.jne(top);
        });
        RunToHalt(guest);
        Assert.That(guest.Cpu.State.Gpr[GeneralRegister.Rbx], Is.EqualTo(0x1122_3344_5566_7700 + 49));
    }

    [Test]
    public void AWriteFromOutsideIsSeen()
    {
        using PagedGuest guest = Make(_ => { });
        for (byte value = 1; value < 20; value++)
        {
            guest.Machine.WriteMemory(new Gpa(ImmediateFrame), [value]);
            Assert.That(RunToHalt(guest), Is.EqualTo(value));
        }
    }

    [Test]
    public void ARemappedPageIsSeenAfterInvlpg()
    {
        using PagedGuest guest = Make(_ => { });
        guest.Machine.WriteMemory(new Gpa(OtherFrame), [0xB8, 7, 0, 0, 0, Hlt]);
        for (int round = 0; round < 4; round++)
        {
            guest.Map(CodeAddress, (round & 1) == 0 ? CodeFrame : OtherFrame);
            guest.Cpu.FlushTlbPage(new Gva(CodeAddress));
            Assert.That(RunToHalt(guest), Is.EqualTo((round & 1) == 0 ? 1 : 7));
        }
    }

    [Test]
    public void AnInstructionAcrossPagesFollowsItsSecondPage()
    {
        using PagedGuest guest = Make(_ => { });
        guest.Machine.WriteMemory(new Gpa(CodeFrame + 0xFFD), [0xB8, 0x11, 0x22]);
        guest.Machine.WriteMemory(new Gpa(OtherFrame), [0x33, 0x44, Hlt]);
        guest.Machine.WriteMemory(new Gpa(OtherFrame + 0x1000), [0x55, 0x66, Hlt]);
        foreach ((ulong frame, ulong expected) in ((ulong, ulong)[])[(OtherFrame, 0x44332211), (OtherFrame + 0x1000, 0x66552211), (OtherFrame, 0x44332211)])
        {
            guest.Map(CodeAddress + 0x1000, frame);
            guest.Cpu.FlushTlbPage(new Gva(CodeAddress + 0x1000));
            Assert.That(RunToHalt(guest, CodeAddress + 0xFFD), Is.EqualTo(expected));
        }

        guest.Machine.WriteMemory(new Gpa(OtherFrame + 1), [0x99]);
        Assert.That(RunToHalt(guest, CodeAddress + 0xFFD), Is.EqualTo(0x99332211), "a write to the second page");
        guest.Unmap(CodeAddress + 0x1000);
        guest.Cpu.FlushTlbPage(new Gva(CodeAddress + 0x1000));
        guest.Start(CodeAddress + 0xFFD);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.RunBlock(), Is.EqualTo(BlockExit.Fault), "the second page is gone");
            Assert.That(guest.Cpu.PendingFault.Address.Value, Is.EqualTo(CodeAddress + 0x1000));
            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress + 0xFFD));
        }
    }

    [Test]
    public void AnInstructionAcrossTwoMappingsOfOneFrameFollowsBothEnds()
    {
        using PagedGuest guest = Make(_ => { });
        guest.Machine.WriteMemory(new Gpa(OtherFrame + 0xFFD), [0xB8, 0x11, 0x22]);
        guest.Map(CodeAddress, OtherFrame);
        guest.Map(CodeAddress + 0x1000, OtherFrame);
        for (byte value = 1; value < 5; value++)
        {
            guest.Machine.WriteMemory(new Gpa(OtherFrame), [value, 0x44, Hlt]);
            Assert.That(RunToHalt(guest, CodeAddress + 0xFFD), Is.EqualTo(0x44002211ul | ((ulong)value << 16)));
        }
    }

    [Test]
    public void MoreCodeThanTheCacheHoldsRuns()
    {
        const int Pages = 400;
        const ulong Start = 0x70_0000_0000;
        using PagedGuest guest = new();
        guest.Ram(CodeFrame, 0x1000).Fill(0x90);
        guest.Machine.WriteMemory(new Gpa(OtherFrame), [Hlt]);
        for (ulong page = 0; page < Pages; page++)
        {
            guest.Map(Start + (page * PageSize.Size4K), CodeFrame);
        }

        guest.Map(Start + (Pages * PageSize.Size4K), OtherFrame);
        for (int round = 1; round <= 2; round++)
        {
            guest.Start(Start);
            Assert.That(guest.Machine.Run().Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(guest.Cpu.Counters.Instructions, Is.EqualTo((ulong)round * ((Pages * PageSize.Size4K) + 1)));
        }

        Assert.That(guest.Cpu.Code.Generation, Is.GreaterThan(4));
    }

    [Test]
    public void JumpsWithinAPageCountEachOne()
    {
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        for (int i = 0; i < 512; i++)
        {
            int next = ((i * 5) + 3) & 511;
            guest.Machine.WriteMemory(new Gpa(CodeFrame + (ulong)(i * 8)), [0xE9, .. BitConverter.GetBytes((next - i) * 8 - 5)]);
        }

        int at = 0;
        guest.Start(CodeAddress);
        for (int run = 0; run < 300; run++)
        {
            guest.Machine.Run((ulong)run);
            for (int i = 0; i < run; i++)
            {
                at = ((at * 5) + 3) & 511;
            }

            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress + (ulong)(at * 8)));
        }
    }

    /// <summary>Code that a test writes, then a jump to <c>mov eax, 1; hlt</c> in the same page.</summary>
    private static PagedGuest Make(Action<Assembler> write)
    {
        PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Map(Alias, CodeFrame, PageRights.Write | PageRights.NoExecute);
        guest.Map(Stack - 0x1000, 0x10_0000, PageRights.Write | PageRights.NoExecute);
        Assembler code = new(64);
        write(code);
        code.jmp(Target);
        MemoryStream stream = new();
        code.Assemble(new StreamCodeWriter(stream), CodeAddress);
        guest.Machine.WriteMemory(new Gpa(CodeFrame), stream.ToArray());
        guest.Machine.WriteMemory(new Gpa(ImmediateFrame - 1), [0xB8, 1, 0, 0, 0, Hlt]);
        return guest;
    }

    private static ulong RunToHalt(PagedGuest guest, ulong rip = CodeAddress)
    {
        guest.Cpu.State.Gpr[GeneralRegister.Rsp] = Stack;
        guest.Cpu.State.Gpr[9] = Target + 1;
        guest.Start(rip);
        Assert.That(guest.Machine.Run(10_000).Reason, Is.EqualTo(StopReason.Halted));
        return guest.Cpu.State.Gpr[GeneralRegister.Rax];
    }
}
