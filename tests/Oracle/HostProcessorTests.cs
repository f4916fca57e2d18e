using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class HostProcessorTests
{
    private const ulong CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, DF = 0x400, OF = 0x800;
    private HostProcessor host = null!;

    [OneTimeSetUp]
    public void Open()
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        host = new HostProcessor();
    }

    [OneTimeTearDown]
    public void Close() => host?.Dispose();

    [SetUp]
    public void ClearScratch() => host.Scratch.Clear();

    [TestCase("01D8", 1ul, 2ul, 0ul, 3ul, 2ul, PF, TestName = "add eax, ebx")]
    [TestCase("4801D8", ulong.MaxValue, 1ul, 0ul, 0ul, 1ul, CF | PF | AF | ZF, TestName = "add rax, rbx carries out")]
    [TestCase("4801D8", (ulong)long.MaxValue, 1ul, 0ul, 1ul << 63, 1ul, PF | AF | SF | OF, TestName = "add rax, rbx overflows")]
    [TestCase("4811D8", 5ul, 7ul, CF, 13ul, 7ul, 0ul, TestName = "adc rax, rbx adds the carry")]
    [TestCase("4811D8", 5ul, 7ul, 0ul, 12ul, 7ul, PF, TestName = "adc rax, rbx without a carry")]
    [TestCase("4893", 5ul, 7ul, SF | CF, 7ul, 5ul, SF | CF, TestName = "xchg rax, rbx leaves the flags")]
    [TestCase("30E0", 0x1234ul, 0ul, 0ul, 0x1226ul, 0ul, 0ul, TestName = "xor al, ah")]
    [TestCase("F3480FB8C3", 0ul, 0xFFul, CF | OF, 8ul, 0xFFul, 0ul, TestName = "popcnt rax, rbx clears the flags")]
    [TestCase("F3480FB8C3", 9ul, 0ul, 0ul, 0ul, 0ul, ZF, TestName = "popcnt rax, rbx of zero")]
    [TestCase("FD", 1ul, 2ul, ZF, 1ul, 2ul, ZF | DF, TestName = "std")]
    [TestCase("FC", 1ul, 2ul, ZF | DF, 1ul, 2ul, ZF, TestName = "cld")]
    [TestCase("9F", 0ul, 0ul, ZF | CF, 0x4300ul, 0ul, ZF | CF, TestName = "lahf")]
    public void RegisterInstructions(string code, ulong a, ulong b, ulong flags, ulong wantA, ulong wantB, ulong wantFlags)
    {
        HostState state = Distinct();
        state[Register.RAX] = a;
        state[Register.RBX] = b;
        state.Rflags = flags;
        HostState want = state;
        want[Register.RAX] = wantA;
        want[Register.RBX] = wantB;
        want.Rflags = wantFlags | 2;

        host.Run(Convert.FromHexString(code), ref state);

        AssertSame(state, want);
    }

    [Test]
    public void EveryRegisterPassesThroughANop()
    {
        HostState state = Distinct();
        state.Rflags = HostState.StatusFlags | DF | 2;
        state.Mxcsr = 0xFFFF;
        HostState want = state;

        host.Run([0x90], ref state);

        AssertSame(state, want);
    }

    [TestCase(10ul, 10ul, 77ul, 10ul, 77ul, PF | ZF)]
    [TestCase(11ul, 10ul, 77ul, 10ul, 10ul, 0ul)]
    public void CompareExchange(ulong rax, ulong memory, ulong source, ulong wantRax, ulong wantMemory, ulong wantFlags)
    {
        HostState state = new();
        state[Register.RAX] = rax;
        state[Register.RCX] = source;
        state[Register.RBX] = host.ScratchAddress;
        Word(0) = memory;

        host.Run(Encode(c => c.@lock.cmpxchg(__qword_ptr[rbx], rcx)), ref state);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(state[Register.RAX], Is.EqualTo(wantRax));
            Assert.That(Word(0), Is.EqualTo(wantMemory));
            Assert.That(state.Rflags, Is.EqualTo(wantFlags | 2));
        }
    }

    [Test]
    public void AddpsAddsFourLanes()
    {
        HostState state = Distinct();
        state.Xmm[1] = Singles(1, 2, 3, 4);
        state.Xmm[9] = Singles(0.5f, -2, 1e30f, float.PositiveInfinity);
        HostState want = state;
        want.Xmm[1] = Singles(1.5f, 0, 1e30f, float.PositiveInfinity);
        want.Mxcsr |= 0x20;

        host.Run(Encode(c => c.addps(xmm1, xmm9)), ref state);

        AssertSame(state, want);
    }

    [TestCase(0x1F80u, 0x3FBC71C71C71C71Cul, TestName = "mulsd to nearest")]
    [TestCase(0x5F80u, 0x3FBC71C71C71C71Cul, TestName = "mulsd upward")]
    [TestCase(0x3F80u, 0x3FBC71C71C71C71Bul, TestName = "mulsd downward")]
    public void MulsdRoundsAsMxcsrSays(uint mxcsr, ulong want)
    {
        double third = 1.0 / host.Scratch.Length * 4096;
        HostState state = new() { Mxcsr = mxcsr };
        state.Xmm[0] = new UInt128(42, BitConverter.DoubleToUInt64Bits(third));
        state.Xmm[1] = new UInt128(43, BitConverter.DoubleToUInt64Bits(third));

        host.Run(Encode(c => c.mulsd(xmm0, xmm1)), ref state);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((ulong)state.Xmm[0], Is.EqualTo(want));
            Assert.That((ulong)(state.Xmm[0] >> 64), Is.EqualTo(42));
            Assert.That(state.Mxcsr, Is.EqualTo(mxcsr | 0x20), "PE is sticky");
            Assert.That(BitConverter.DoubleToUInt64Bits(third * third), Is.EqualTo(0x3FBC71C71C71C71Cul), "the host's own MXCSR is back");
        }
    }

    [TestCase(0ul, 0, 0x800, 5)]
    [TestCase(DF, 4, 0x804, -5)]
    public void RepMovsbCopiesInScratch(ulong flags, int source, int destination, int step)
    {
        "quack"u8.CopyTo(host.Scratch);
        HostState state = new() { Rflags = flags };
        state[Register.RSI] = host.ScratchAddress + (uint)source;
        state[Register.RDI] = host.ScratchAddress + (uint)destination;
        state[Register.RCX] = 5;

        host.Run([0xF3, 0xA4], ref state);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(host.Scratch.Slice(0x800, 5).ToArray(), Is.EqualTo("quack"u8.ToArray()));
            Assert.That(state[Register.RCX], Is.Zero);
            Assert.That(state[Register.RSI], Is.EqualTo(host.ScratchAddress + (ulong)(source + step)));
            Assert.That(state[Register.RDI], Is.EqualTo(host.ScratchAddress + (ulong)(destination + step)));
        }
    }

    [Test]
    public void PushAndPopUseTheTestedStack()
    {
        HostState state = Distinct();
        ulong top = host.ScratchAddress + HostProcessor.ScratchSize;
        state[Register.RSP] = top;
        state[Register.RDI] = 0x0123_4567_89AB_CDEF;

        host.RunOnStack(Encode(c => c.push(rdi)), ref state);
        ulong afterPush = state[Register.RSP];
        host.RunOnStack(Encode(c => c.pop(r15)), ref state);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(afterPush, Is.EqualTo(top - 8));
            Assert.That(Word(HostProcessor.ScratchSize - 8), Is.EqualTo(0x0123_4567_89AB_CDEF));
            Assert.That(state[Register.R15], Is.EqualTo(0x0123_4567_89AB_CDEF));
            Assert.That(state[Register.RSP], Is.EqualTo(top));
        }
    }

    [Test]
    public void AddressesOf32BitsReachScratch()
    {
        HostState state = new();
        state[Register.RBX] = 0xDEAD_0000_0000_0000 | host.ScratchAddress;
        state[Register.RAX] = 0x55;

        host.Run(Encode(c => c.mov(__byte_ptr[ebx + 3], al)), ref state);

        Assert.That(host.Scratch[3], Is.EqualTo(0x55));
    }

    [TestCase("7400", ZF, 0ul, true, 0ul, TestName = "je taken")]
    [TestCase("7400", 0ul, 0ul, false, 0ul, TestName = "je not taken")]
    [TestCase("0F8F00000000", SF | OF, 0ul, true, 0ul, TestName = "jg rel32 taken")]
    [TestCase("7F10", SF, 0ul, false, 0ul, TestName = "jg not taken")]
    [TestCase("E2F0", 0ul, 2ul, true, 1ul, TestName = "loop taken")]
    [TestCase("E2F0", 0ul, 1ul, false, 0ul, TestName = "loop not taken")]
    [TestCase("E0F0", ZF, 2ul, false, 1ul, TestName = "loopne stops at zero flag")]
    [TestCase("67E2F0", 0ul, 0x1_0000_0001ul, false, 0ul, TestName = "loop on ecx clears the high half")]
    [TestCase("E300", 0ul, 0ul, true, 0ul, TestName = "jrcxz taken")]
    [TestCase("E300", 0ul, 9ul, false, 9ul, TestName = "jrcxz not taken")]
    [TestCase("EB00", 0ul, 9ul, true, 9ul, TestName = "jmp")]
    public void Branches(string code, ulong flags, ulong rcx, bool wantTaken, ulong wantRcx)
    {
        HostState state = Distinct();
        state.Rflags = flags;
        state[Register.RCX] = rcx;
        HostState want = state;
        want.Rflags = flags | 2;
        want[Register.RCX] = wantRcx;

        bool taken = host.RunBranch(Convert.FromHexString(code), ref state);

        Assert.That(taken, Is.EqualTo(wantTaken));
        AssertSame(state, want);
    }

    [TestCase("C3", TestName = "ret")]
    [TestCase("0F05", TestName = "syscall")]
    [TestCase("F4", TestName = "hlt")]
    [TestCase("9D", TestName = "popfq may set TF or AC")]
    [TestCase("0FA1", TestName = "pop fs takes thread-local storage away")]
    [TestCase("488B0500000000", TestName = "mov rax, [rip]")]
    [TestCase("9090", TestName = "two instructions")]
    [TestCase("48", TestName = "a prefix alone")]
    [TestCase("", TestName = "nothing")]
    [TestCase("06", TestName = "not an instruction")]
    public void RefusedInstructions(string code) =>
        Assert.That(() => RunNew(code), Throws.ArgumentException);

    [Test]
    public void RefusedStates()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => { HostState s = new() { Mxcsr = 0x1F00 }; host.Run([0x90], ref s); }, Throws.ArgumentException);
            Assert.That(() => { HostState s = new(); host.RunOnStack([0x50], ref s); }, Throws.ArgumentException);
            Assert.That(() => { HostState s = new(); host.RunBranch([0x90], ref s); }, Throws.ArgumentException);
        }
    }

    [Test]
    public void FullCodeMemoryStartsOver()
    {
        HostState state = new();
        int largest = 0;
        bool startedOver = false;
        for (uint i = 0; i < 20_000; i++)
        {
            byte[] move = [0xB8, (byte)i, (byte)(i >> 8), (byte)(i >> 16), (byte)(i >> 24)];
            host.Run(move, ref state);
            Assert.That(state[Register.RAX], Is.EqualTo(i));
            startedOver |= host.CachedStubs < largest;
            largest = Math.Max(largest, host.CachedStubs);
        }

        Assert.That(startedOver, Is.True, $"{largest} stubs fitted");
    }

    [Test]
    public void X87AndMmxStatePassesBothWays()
    {
        HostState state = Distinct();
        state.X87.Tags = 0x80;
        state.X87.Status = 7 << 11;
        state.X87.St[0] = new UInt128(0x4000, 0xC000_0000_0000_0000);
        host.Run(Convert.FromHexString("D9E8"), ref state); // fld1
        using (Assert.EnterMultipleScope())
        {
            Assert.That(state.X87.St[0], Is.EqualTo(new UInt128(0x3FFF, 0x8000_0000_0000_0000)));
            Assert.That(state.X87.St[1], Is.EqualTo(new UInt128(0x4000, 0xC000_0000_0000_0000)));
            Assert.That(state.X87.Tags, Is.EqualTo(0xC0));
            Assert.That(state.X87.Status >> 11 & 7, Is.EqualTo(6));
        }

        state = Distinct();
        state[Register.RAX] = 0x1_2345_6789;
        host.Run(Convert.FromHexString("0F6EC8"), ref state); // movd mm1, eax
        Assert.That((state.X87.St[1], state.X87.Tags, state.X87.Status), Is.EqualTo((new UInt128(0xFFFF, 0x2345_6789), (byte)0xFF, (ushort)0)));
    }

    [Test]
    public void AvxStatePassesBothWays()
    {
        if ((XsaveArea.Mask & 4) == 0)
        {
            Assert.Ignore("the host has no AVX");
        }

        HostState state = Distinct();
        state.YmmHigh[2] = 7;
        state.YmmHigh[3] = 9;
        host.Run(Convert.FromHexString("C5EDFEC3"), ref state); // vpaddd ymm0, ymm2, ymm3
        using (Assert.EnterMultipleScope())
        {
            Assert.That(state.YmmHigh[0], Is.EqualTo((UInt128)16));
            Assert.That(state.YmmHigh[2], Is.EqualTo((UInt128)7));
        }
    }

    private static HostState Distinct()
    {
        HostState state = new();
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = 0x0101_0101_0101_0101ul * (uint)(i + 1);
            state.Xmm[i] = new UInt128(0xA000_0000_0000_0000ul + (uint)i, 0xB000_0000_0000_0000ul + (uint)i);
        }

        return state;
    }

    private static void AssertSame(in HostState actual, in HostState want)
    {
        using (Assert.EnterMultipleScope())
        {
            for (int i = 0; i < 16; i++)
            {
                Assert.That(actual.Gpr[i], Is.EqualTo(want.Gpr[i]), $"{Register.RAX + i}");
                Assert.That(actual.Xmm[i], Is.EqualTo(want.Xmm[i]), $"{Register.XMM0 + i}");
            }

            Assert.That(actual.Rflags, Is.EqualTo(want.Rflags), "RFLAGS");
            Assert.That(actual.Mxcsr, Is.EqualTo(want.Mxcsr), "MXCSR");
        }
    }

    private static UInt128 Singles(float a, float b, float c, float d) => new(
        ((ulong)BitConverter.SingleToUInt32Bits(d) << 32) | BitConverter.SingleToUInt32Bits(c),
        ((ulong)BitConverter.SingleToUInt32Bits(b) << 32) | BitConverter.SingleToUInt32Bits(a));

    private static byte[] Encode(Action<Assembler> write)
    {
        Assembler assembler = new(64);
        write(assembler);
        MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    private ref ulong Word(int offset) =>
        ref MemoryMarshal.AsRef<ulong>(host.Scratch[offset..]);

    private void RunNew(string code)
    {
        HostState state = new();
        host.Run(Convert.FromHexString(code), ref state);
    }
}
