using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>XSAVE, XRSTOR and their kin against the host's processor: the images that both write, and the states that both load.</summary>
[TestFixture]
public sealed class ExtendedStateTests
{
    private const int Rounds = 400;
    private const int Header = 512;
    private const ulong Compacted = 1UL << 63;
    private const ulong User = StateComponents.X87 | StateComponents.Sse | StateComponents.Avx;

    private HostProcessor host = null!;
    private FlatProcessor emulator = null!;
    private OperandSource source = null!;

    public static IEnumerable<TestCaseData<Action<Assembler>>> Saves()
    {
        yield return Case("XSAVE", c => c.xsave(__[rbx]));
        yield return Case("XSAVE64", c => c.xsave64(__[rbx]));
        yield return Case("XSAVEOPT", c => c.xsaveopt(__[rbx]));
        yield return Case("XSAVEOPT64", c => c.xsaveopt64(__[rbx]));
        yield return Case("XSAVEC", c => c.xsavec(__[rbx]));
        yield return Case("XSAVEC64", c => c.xsavec64(__[rbx]));
    }

    public static IEnumerable<TestCaseData<Action<Assembler>>> Restores()
    {
        yield return Case("XRSTOR", c => c.xrstor(__[rbx]));
        yield return Case("XRSTOR64", c => c.xrstor64(__[rbx]));
    }

    [SetUp]
    public void Begin()
    {
        if (!HostProcessor.IsSupported || !System.Runtime.Intrinsics.X86.Avx2.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host with AVX");
        }

        host = new HostProcessor();
        emulator = new FlatProcessor();
        source = new OperandSource(77);
        ref CpuState cpu = ref emulator.Cpu.State;
        cpu.Cr4 |= Cr4.OSXSAVE | Cr4.OSFXSR;
        cpu.Xcr0 = User;
        emulator.Cpu.ContextChanged();
    }

    [TearDown]
    public void End()
    {
        host?.Dispose();
        emulator?.Dispose();
    }

    [TestCaseSource(nameof(Saves))]
    public void TheImageIsTheHosts(Action<Assembler> write)
    {
        byte[] bytes = Assemble(write);
        Assert.That(emulator.Load(bytes));
        byte[] before = new byte[HostProcessor.ScratchSize], expected = new byte[HostProcessor.ScratchSize];
        for (int i = 0; i < Rounds; i++)
        {
            HostState state = NextState();
            state[Register.RAX] = source.NextBits();
            state[Register.RAX] &= (i & 1) == 0 ? 7u : 0xFFFF_FF07;
            state[Register.RAX] &= User;
            state[Register.RDX] = source.NextBits() & 0xFFFF_FFFF_0000_0000;
            Scramble();
            host.Scratch.CopyTo(before);
            HostState theirs = state;
            host.Run(bytes, ref theirs);
            host.Scratch.CopyTo(expected);
            ForgetMisalignedMode(before, expected);
            before.CopyTo(host.Scratch);
            Assert.That(emulator.Run(ref state), $"{emulator.Fault}");
            int at = host.Scratch.CommonPrefixLength(expected);
            Assert.That(at, Is.EqualTo(expected.Length), () => $"round {i}: byte {at - Area}, asked for {theirs[Register.RAX]:x}: {host.Scratch[at]:x2}, host {expected[at]:x2}");
        }
    }

    [TestCaseSource(nameof(Restores))]
    public void TheStateIsTheHosts(Action<Assembler> write)
    {
        byte[] bytes = Assemble(write);
        Assert.That(emulator.Load(bytes));
        for (int i = 0; i < Rounds; i++)
        {
            HostState saved = NextState(), state = NextState();
            PlaceImage(saved, compacted: (i & 1) != 0);
            state[Register.RAX] = source.NextBits() & User;
            state[Register.RDX] = source.NextBits() & 0xFFFF_FFFF_0000_0000;
            HostState theirs = state, ours = state;
            host.Run(bytes, ref theirs);
            Assert.That(emulator.Run(ref ours), $"{emulator.Fault}");
            Assert.That(StateDifference.Of(state, ours, theirs, approximate: false), Is.Null, $"round {i}");
        }
    }

    private int Area => HostProcessor.ScratchSize / 2;

    private static TestCaseData<Action<Assembler>> Case(string name, Action<Assembler> write) =>
        new TestCaseData<Action<Assembler>>(write).SetArgDisplayNames(name);

    private static byte[] Assemble(Action<Assembler> write)
    {
        Assembler assembler = new(64);
        write(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>A state of which each component is now and then in its initial configuration.</summary>
    private HostState NextState()
    {
        HostState state = new() { Mxcsr = source.NextIndex(3) == 0 ? HostState.DefaultMxcsr : source.NextMxcsr() };
        bool xmm = source.NextIndex(4) != 0, ymm = source.NextIndex(4) != 0;
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = source.NextRegister();
            state.Xmm[i] = xmm ? source.NextXmm() : 0;
            state.YmmHigh[i] = ymm ? source.NextXmm() : 0;
        }

        if (source.NextIndex(4) != 0)
        {
            state.X87.Control = (ushort)(0x7F | ((ushort)source.NextBits() & 0xF00));
            state.X87.Status = (ushort)(source.NextBits() & 0x7F7F);
            state.X87.Tags = (byte)source.NextBits();
            for (int i = 0; i < 8; i++)
            {
                state.X87.St[i] = source.NextXmm() & (UInt128.MaxValue >> 48);
            }
        }

        state[Register.RBX] = host.ScratchAddress + (ulong)Area;
        return state;
    }

    /// <summary>Some processors have MXCSR bit 17, which lets SSE operands be misaligned; the mask they write says so.</summary>
    private void ForgetMisalignedMode(byte[] before, byte[] after)
    {
        Span<byte> written = after.AsSpan(Area + 28, sizeof(uint));
        if (!written.SequenceEqual(before.AsSpan(Area + 28, sizeof(uint))))
        {
            MemoryMarshal.Write(written, MemoryMarshal.Read<uint>(written) & ~(1u << 17));
        }
    }

    private void Scramble()
    {
        Span<UInt128> area = MemoryMarshal.Cast<byte, UInt128>(host.Scratch[Area..(Area + 1024)]);
        for (int i = 0; i < area.Length; i++)
        {
            area[i] = source.NextXmm();
        }
    }

    /// <summary>An image of which the header says at random what is there.</summary>
    private void PlaceImage(in HostState state, bool compacted)
    {
        Scramble();
        Span<byte> area = host.Scratch[Area..];
        MemoryMarshal.Write(area, state.X87.Control);
        MemoryMarshal.Write(area[2..], state.X87.Status);
        area[4] = state.X87.Tags;
        area[8..24].Clear();
        MemoryMarshal.Write(area[24..], state.Mxcsr);
        for (int i = 0; i < 8; i++)
        {
            MemoryMarshal.Write(area[(32 + (16 * i))..], state.X87.St[i]);
        }

        ulong format = source.NextBits() & User;
        ulong present = compacted ? source.NextBits() & format : source.NextBits() & User;
        area[Header..(Header + 64)].Clear();
        MemoryMarshal.Write(area[Header..], present);
        MemoryMarshal.Write(area[(Header + 8)..], compacted ? format | Compacted : 0);
    }
}
