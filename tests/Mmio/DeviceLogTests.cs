using System.Buffers.Binary;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// What a device sees of an instruction: offset, width, value and order. The device's bytes are their offsets at first; RBX points to
/// offset 0x10 of it, RBP to RAM whose bytes are 0x80 and their offset.
/// </summary>
[TestFixture]
public sealed class DeviceLogTests
{
    private const ulong DevicePage = 0x60_0000;
    private const ulong RamPage = 0x61_0000;
    private const ulong RamFrame = 0x11_0000;
    private const ulong Rax = 0xA7A6_A5A4_A3A2_A1A0;
    private const ulong Rcx = 0xC7C6_C5C4_C3C2_C1C0;
    private const ulong DeviceBytes = 0x1FF8;
    private const ulong Target = EmulatedGuest.Code + 0x80;
    private const string Below = "w8@1f8=";

    private sealed record Case(string Name, Action<Assembler> Code, string Log);

    private static readonly Case[] Moves =
    [
        new("mov al, [rbx]", c => c.mov(al, __[rbx]), "r1@10=10"),
        new("mov ah, [rbx]", c => c.mov(ah, __[rbx]), "r1@10=10"),
        new("mov ax, [rbx]", c => c.mov(ax, __[rbx]), "r2@10=1011"),
        new("mov eax, [rbx]", c => c.mov(eax, __[rbx]), "r4@10=10111213"),
        new("mov rax, [rbx]", c => c.mov(rax, __[rbx]), "r8@10=1011121314151617"),
        new("mov [rbx], cl", c => c.mov(__[rbx], cl), "w1@10=c0"),
        new("mov [rbx], ch", c => c.mov(__[rbx], ch), "w1@10=c1"),
        new("mov [rbx+3], cx", c => c.mov(__[rbx + 3], cx), "w2@13=c0c1"),
        new("mov [rbx+1], ecx", c => c.mov(__[rbx + 1], ecx), "w4@11=c0c1c2c3"),
        new("mov [rbx], rcx", c => c.mov(__[rbx], rcx), "w8@10=c0c1c2c3c4c5c6c7"),
        new("mov qword [rbx], -2", c => c.mov(__qword_ptr[rbx], -2), "w8@10=feffffffffffffff"),
        new("movnti [rbx], ecx", c => c.movnti(__[rbx], ecx), "w4@10=c0c1c2c3"),
        new("movnti [rbx], rcx", c => c.movnti(__[rbx], rcx), "w8@10=c0c1c2c3c4c5c6c7"),
        new("movzx eax, byte [rbx]", c => c.movzx(eax, __byte_ptr[rbx]), "r1@10=10"),
        new("movsx rax, word [rbx]", c => c.movsx(rax, __word_ptr[rbx]), "r2@10=1011"),
        new("movsxd rax, [rbx]", c => c.movsxd(rax, __dword_ptr[rbx]), "r4@10=10111213"),
        new("movd [rbx], xmm1", c => c.movd(__dword_ptr[rbx], xmm1), "w4@10=e0e1e2e3"),
        new("movsd xmm0, [rbx]", c => c.movsd(xmm0, __[rbx]), "r8@10=1011121314151617"),
        new("movsd [rbx], xmm1", c => c.movsd(__[rbx], xmm1), "w8@10=e0e1e2e3e4e5e6e7"),
        new("movhps [rbx], xmm1", c => c.movhps(__[rbx], xmm1), "w8@10=e8e9eaebecedeeef"),
        new("movups xmm0, [rbx+1]", c => c.movups(xmm0, __[rbx + 1]), "r16@11=1112131415161718191a1b1c1d1e1f20"),
        new("movups [rbx+1], xmm1", c => c.movups(__[rbx + 1], xmm1), "w16@11=e0e1e2e3e4e5e6e7e8e9eaebecedeeef"),
        new("movaps xmm0, [rbx]", c => c.movaps(xmm0, __[rbx]), "r16@10=101112131415161718191a1b1c1d1e1f"),
        new("movntps [rbx], xmm1", c => c.movntps(__[rbx], xmm1), "w16@10=e0e1e2e3e4e5e6e7e8e9eaebecedeeef"),
        new("paddb xmm0, [rbx]", c => c.paddb(xmm0, __[rbx]), "r16@10=101112131415161718191a1b1c1d1e1f"),
        new("cmovc, taken", c => c.cmovc(eax, __[rbx]), "r4@10=10111213"),
        new("cmovnc, not taken", c => c.cmovnc(eax, __[rbx]), "r4@10=10111213"),
        new("setc", c => c.setc(__[rbx]), "w1@10=01"),
        new("setnc", c => c.setnc(__[rbx]), "w1@10=00"),
        new("lea", c => c.lea(rax, __[rbx]), ""),
        new("prefetchnta", c => c.prefetchnta(__[rbx]), ""),
        new("nop [rbx]", c => c.nop(__dword_ptr[rbx]), ""),
    ];

    private static readonly Case[] Arithmetic =
    [
        new("cmp [rbx], ecx", c => c.cmp(__[rbx], ecx), "r4@10=10111213"),
        new("test [rbx], cx", c => c.test(__[rbx], cx), "r2@10=1011"),
        new("add rax, [rbx]", c => c.add(rax, __[rbx]), "r8@10=1011121314151617"),
        new("add [rbx], cl", c => c.add(__[rbx], cl), "r1@10=10 w1@10=d0"),
        new("add [rbx], ecx", c => c.add(__[rbx], ecx), "r4@10=10111213 w4@10=d0d2d4d6"),
        new("lock add [rbx], rcx", c => c.@lock.add(__[rbx], rcx), "r8@10=1011121314151617 w8@10=d0d2d4d6d8dadcde"),
        new("or word [rbx], 0xff", c => c.or(__word_ptr[rbx], 0xFF), "r2@10=1011 w2@10=ff11"),
        new("and [rbx], 0 (writes also what is the same)", c => c.and(__dword_ptr[rbx], -1), "r4@10=10111213 w4@10=10111213"),
        new("inc", c => c.inc(__dword_ptr[rbx]), "r4@10=10111213 w4@10=11111213"),
        new("lock dec", c => c.@lock.dec(__word_ptr[rbx]), "r2@10=1011 w2@10=0f11"),
        new("neg", c => c.neg(__qword_ptr[rbx]), "r8@10=1011121314151617 w8@10=f0eeedecebeae9e8"),
        new("not", c => c.not(__byte_ptr[rbx]), "r1@10=10 w1@10=ef"),
        new("shl by 4", c => c.shl(__word_ptr[rbx], 4), "r2@10=1011 w2@10=0011"),
        new("bts dword, 5", c => c.bts(__dword_ptr[rbx], (byte)5), "r4@10=10111213 w4@10=30111213"),
        new("lock bts dword, 5", c => c.@lock.bts(__dword_ptr[rbx], (byte)5), "r4@10=10111213 w4@10=30111213"),
        new("bt by register, 0x4400 bits on", c => c.bt(__[rbx], edx), "r4@890=90919293"),
        new("bts by register, 0x4400 bits on", c => c.bts(__[rbx], rdx), "r8@890=9091929394959697 w8@890=9191929394959697"),
        new("imul eax, [rbx], 2", c => c.imul(eax, __dword_ptr[rbx], 2), "r4@10=10111213"),
        new("mul", c => c.mul(__qword_ptr[rbx]), "r8@10=1011121314151617"),
    ];

    private static readonly Case[] Exchanges =
    [
        new("xchg [rbx], cx", c => c.xchg(__[rbx], cx), "r2@10=1011 w2@10=c0c1"),
        new("xchg [rbx], rcx", c => c.xchg(__[rbx], rcx), "r8@10=1011121314151617 w8@10=c0c1c2c3c4c5c6c7"),
        new("xadd [rbx], ecx", c => c.xadd(__[rbx], ecx), "r4@10=10111213 w4@10=d0d2d4d6"),
        new("cmpxchg that matches", c => c.cmpxchg(__[rbx - 16 + 0xA0], ecx), "r4@a0=a0a1a2a3 w4@a0=c0c1c2c3"),
        new("cmpxchg that fails writes the old value", c => c.cmpxchg(__[rbx], ecx), "r4@10=10111213 w4@10=10111213"),
        new("lock cmpxchg that fails", c => c.@lock.cmpxchg(__[rbx], rcx), "r8@10=1011121314151617 w8@10=1011121314151617"),
        new("cmpxchg8b that fails", c => c.cmpxchg8b(__[rbx]), "r8@10=1011121314151617 w8@10=1011121314151617"),
        new("cmpxchg16b that fails", c => c.@lock.cmpxchg16b(__[rbx]), "r16@10=101112131415161718191a1b1c1d1e1f w16@10=101112131415161718191a1b1c1d1e1f"),
    ];

    private static readonly Case[] Across =
    [
        new("read across the end", c => c.mov(rax, __[r8 - 3]), "r3@1ff5=f5f6f7"),
        new("write across the end", c => c.mov(__[r8 - 3], rcx), "w3@1ff5=c0c1c2"),
        new("wide read across the end", c => c.movups(xmm0, __[r8 - 9]), "r9@1fef=eff0f1f2f3f4f5f6f7"),
        new("add across the end", c => c.add(__[r8 - 1], cx), "r1@1ff7=f7 w1@1ff7=b7"),
        new("read across a page of one device", c => c.mov(eax, __[rbx + 0xFEE]), "r2@ffe=feff r2@1000=0001"),
    ];

    private static readonly Case[] Transfers =
    [
        new("push [rbx]", c => c.push(__qword_ptr[rbx]), "r8@10=1011121314151617"),
        new("pop [rbx]", c => c.pop(__qword_ptr[rbx]), "w8@10=8081828384858687"),
        new("jmp [rbx+0x1f0]", c => c.jmp(__qword_ptr[rbx + 0x1F0]), "r8@200=8000000040000000"),
        new("call [rbx+0x1f0]", c => c.call(__qword_ptr[rbx + 0x1F0]), "r8@200=8000000040000000"),
    ];

    private static readonly Case[] Stacks =
    [
        new("push rcx", c => c.push(rcx), Below + "c0c1c2c3c4c5c6c7"),
        new("push cx", c => c.push(cx), "w2@1fe=c0c1"),
        new("push -1", c => c.push(-1), Below + "ffffffffffffffff"),
        new("push [rbp]", c => c.push(__qword_ptr[rbp]), Below + "8081828384858687"),
        new("pushfq", c => c.pushfq(), Below + "0300000000000000"),
        new("call", c => c.call(EmulatedGuest.Code + 0x100), Below + "0500000040000000"),
        new("call [rbp+0x40]", c => c.call(__qword_ptr[rbp + 0x40]), Below + "0300000040000000"),
        new("enter 32, 0", c => c.enter(32, 0), Below + "0000610000000000"),
        new("pop rax", c => c.pop(rax), "r8@200=8000000040000000"),
        new("pop cx", c => c.pop(cx), "r2@200=8000"),
        new("pop [rbp]", c => c.pop(__qword_ptr[rbp]), "r8@200=8000000040000000"),
        new("popfq", c => c.popfq(), "r8@200=8000000040000000"),
        new("ret", c => c.ret(), "r8@200=8000000040000000"),
        new("ret 8", c => c.ret(8), "r8@200=8000000040000000"),
        new("push [rsp+8]", c => c.push(__qword_ptr[rsp + 8]), "r8@208=08090a0b0c0d0e0f " + Below + "08090a0b0c0d0e0f"),
        new("pop [rsp+8], an address after the pop", c => c.pop(__qword_ptr[rsp + 8]), "r8@200=8000000040000000 w8@210=8000000040000000"),
    ];

    private static IEnumerable<TestCaseData> Cases() => new[] { Moves, Arithmetic, Exchanges, Across, Transfers, Stacks }
        .SelectMany(cases => cases.Select(@case => new TestCaseData(@case).SetArgDisplayNames(@case.Name)));

    [TestCaseSource(nameof(Cases))]
    public void ADeviceSeesEachAccessOnceAndWhole(object row)
    {
        Case @case = (Case)row;
        using EmulatedGuest guest = new(DeviceBytes);
        guest.Place(@case.Code);
        Prepare(guest, Stacks.Contains(@case));
        BlockExit exit = guest.Emulate();
        string log = guest.Device.Log;
        string after = GuestSnapshot.Of(guest.Paged);

        Prepare(guest, Stacks.Contains(@case));
        guest.State.Rip = EmulatedGuest.Code;
        StopReport run = guest.Paged.Machine.Run(1);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Branch), guest.Fault);
            Assert.That(log, Is.EqualTo(@case.Log));
            Assert.That(run.Reason, Is.EqualTo(StopReason.Limit));
            Assert.That(guest.Device.Log, Is.EqualTo(@case.Log), "as the processor leaves it to the emulator");
            Assert.That(GuestSnapshot.Of(guest.Paged), Is.EqualTo(after));
        }
    }

    private static void Prepare(EmulatedGuest guest, bool stackOnDevice)
    {
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa, length: 0x2000);
        guest.Paged.Map(RamPage, RamFrame);
        guest.Device.Reset();
        BinaryPrimitives.WriteUInt64LittleEndian(guest.Device.Bytes.AsSpan(0x200), Target);
        Span<byte> ram = guest.Paged.Ram(RamFrame, 0x1000);
        for (int i = 0; i < ram.Length; i++)
        {
            ram[i] = (byte)(0x80 + i);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(ram[0x40..], Target);
        HostState state = new() { Rflags = Rflags.Fixed | Rflags.CF };
        state[Register.RAX] = Rax;
        state[Register.RCX] = Rcx;
        state[Register.RDX] = 0x4400;
        state[Register.RBX] = DevicePage + 0x10;
        state[Register.RBP] = RamPage;
        state[Register.RSP] = stackOnDevice ? DevicePage + 0x200 : RamPage + 0x800;
        state[Register.R8] = DevicePage + DeviceBytes;
        state.Xmm[1] = new UInt128(0xEFEE_EDEC_EBEA_E9E8, 0xE7E6_E5E4_E3E2_E1E0);
        GuestRegisters.Set(guest.Cpu, state);
        guest.Cpu.Rflags &= ~Rflags.IF;
    }
}
