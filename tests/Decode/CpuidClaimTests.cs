using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The processor has the instructions that CPUID claims, and #UD for the others.</summary>
[TestFixture]
public sealed unsafe class CpuidClaimTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;

    /// <summary>What CPUID claims, and what every processor with long mode has without a word.</summary>
    private static readonly HashSet<CpuidFeature> Claimed =
    [
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64,
        CpuidFeature.CPUID, CpuidFeature.MSR, CpuidFeature.TSC, CpuidFeature.RDTSCP, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B, CpuidFeature.CMOV,
        CpuidFeature.FXSR, CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.CLFSH, CpuidFeature.SYSCALL, CpuidFeature.SMAP,
        CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE, CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387,
        CpuidFeature.BMI1, CpuidFeature.BMI2, CpuidFeature.LZCNT, CpuidFeature.ADX, CpuidFeature.MOVBE, CpuidFeature.PREFETCHW,
        CpuidFeature.XSAVE, CpuidFeature.XSAVEOPT, CpuidFeature.XSAVEC, CpuidFeature.XSAVES,
        CpuidFeature.RDRAND, CpuidFeature.RDSEED, CpuidFeature.FSGSBASE, CpuidFeature.RDPID, CpuidFeature.CLFLUSHOPT, CpuidFeature.CLWB, CpuidFeature.CLDEMOTE,
        CpuidFeature.MOVDIRI, CpuidFeature.MOVDIR64B, CpuidFeature.MONITOR, CpuidFeature.INVPCID, CpuidFeature.SEP, CpuidFeature.SERIALIZE,
        CpuidFeature.WBNOINVD, CpuidFeature.RDPMC, CpuidFeature.PKU,
        CpuidFeature.MMX, CpuidFeature.SSE3, CpuidFeature.SSSE3, CpuidFeature.SSE4_1, CpuidFeature.SSE4_2, CpuidFeature.POPCNT, CpuidFeature.AES,
        CpuidFeature.PCLMULQDQ, CpuidFeature.SHA,
        CpuidFeature.AVX, CpuidFeature.AVX2, CpuidFeature.FMA, CpuidFeature.F16C,
    ];

    /// <summary>Not claimed, and yet not #UD: encodings that processors without the feature take for something older.</summary>
    private static readonly Dictionary<Mnemonic, string> Older = new()
    {
        [Mnemonic.Prefetch] = "0F 0D is a hint that Intel processors have long taken for NOP",
        [Mnemonic.Prefetchwt1] = "as PREFETCH",
        [Mnemonic.Prefetchit0] = "0F 18 to 0F 1F are hints: NOP where they mean nothing",
        [Mnemonic.Prefetchit1] = "as PREFETCHIT0",
        [Mnemonic.Rdsspd] = "as PREFETCHIT0; compiled code reads a shadow-stack pointer of 0 so",
        [Mnemonic.Rdsspq] = "as RDSSPD",
        [Mnemonic.Endbr32] = "as PREFETCHIT0",
        [Mnemonic.Endbr64] = "as PREFETCHIT0",
    };

    [Test]
    public void WhatIsNotClaimedIsUndefined()
    {
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        List<string> bound = [], unbound = [];
        int executed = 0;
        foreach ((Code code, byte[] bytes) in OpcodeSpace.Find())
        {
            bool undefined = IsUndefined(bytes);
            if (undefined)
            {
                executed++;
                RaisesUndefinedOpcode(guest, bytes, code);
            }

            bool claimed = IsClaimed(code);
            bool expected = !claimed && !Older.ContainsKey(code.Mnemonic());
            if (undefined != expected)
            {
                (undefined ? unbound : bound).Add(Describe(code, bytes));
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(string.Concat(bound), Is.Empty, "executes, and is not claimed");
            Assert.That(string.Concat(unbound), Is.Empty, "is claimed or has an older meaning, and is #UD");
            Assert.That(executed, Is.GreaterThan(2000));
        }
    }

    /// <summary>Code for newer processors relies on it (SDM Vol. 2B, "NOP"; RDSSP and ENDBR of Vol. 2).</summary>
    [Test]
    public void EveryHintIsANop([Values(0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F)] byte opcode, [Values(0, 0x66, 0xF3, 0xF2)] byte prefix, [Values] bool wide)
    {
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        GuestRegisters.Set(guest.Cpu, new HostState());
        HostState before = default, after = default;
        GuestRegisters.Get(guest.Cpu, ref before);
        foreach (byte modRm in OpcodeSpace.ModRms)
        {
            byte[] bytes = [.. prefix != 0 ? [prefix] : Array.Empty<byte>(), .. wide ? [(byte)0x48] : Array.Empty<byte>(), 0x0F, opcode, modRm];
            guest.Machine.WriteMemory(new(CodeFrame), bytes);
            guest.Start(CodeAddress);
            BlockExit exit = guest.RunBlock(slice: 1, BlockMode.Single);
            GuestRegisters.Get(guest.Cpu, ref after);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(exit, Is.EqualTo(BlockExit.Branch), Convert.ToHexString(bytes));
                Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress + (ulong)bytes.Length), Convert.ToHexString(bytes));
                Assert.That(GuestRegisters.Same(before, after), Convert.ToHexString(bytes));
            }
        }
    }

    private static string Describe(Code code, byte[] bytes) => $"{code} {string.Join('+', code.CpuidFeatures())} {Convert.ToHexString(bytes)}\n";

    private static bool IsClaimed(Code code) => code.CpuidFeatures().All(Claimed.Contains);

    private static bool IsUndefined(byte[] bytes)
    {
        Instruction instruction = Decoder.Create(64, bytes, CodeAddress).Decode();
        Op op = new() { Rip = CodeAddress, Length = (byte)instruction.Length };
        return OpBinder<ProcessorPort>.Bind(instruction, ref op, BlockMode.None, new CpuFeatures()) == BindKind.Ends && op.Immediate == (ulong)FaultRule.UndefinedOpcode;
    }

    private static void RaisesUndefinedOpcode(PagedGuest guest, byte[] bytes, Code code)
    {
        guest.Machine.WriteMemory(new(CodeFrame), bytes);
        guest.Start(CodeAddress);
        BlockExit exit = guest.RunBlock(slice: 1, BlockMode.Single);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Fault), $"{code}");
            Assert.That(guest.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.InvalidOpcode), $"{code}");
            Assert.That(guest.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.UndefinedOpcode), $"{code}");
            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress), $"{code}");
        }
    }
}
