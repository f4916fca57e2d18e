using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Random bytes as code, in RAM: the emulator retires, faults and leaves memory as the processor does, valid instruction or not.</summary>
[TestFixture]
public sealed class EmulatorAgreementTests
{
    private const ulong Data = 0x60_0000;
    private const ulong DataFrame = 0x11_0000;
    private const int Tries = 6000;

    [TestCase(0)]
    [TestCase(3)]
    public void RandomCodeDoesTheSame(byte cpl)
    {
        using EmulatedGuest processor = Make();
        using EmulatedGuest emulated = Make();
        OperandSource source = new(41u + cpl);
        byte[] code = new byte[16];
        int retired = 0, faults = 0;
        for (int i = 0; i < Tries; i++)
        {
            HostState state = NextState(source);
            BitConverter.TryWriteBytes(code, source.NextBits());
            BitConverter.TryWriteBytes(code.AsSpan(8), source.NextBits());
            if (HasEffectsElsewhere(code))
            {
                continue;
            }

            byte[] contents = new byte[0x1000];
            new Random(i).NextBytes(contents);
            foreach (EmulatedGuest each in (EmulatedGuest[])[processor, emulated])
            {
                each.Place(code);
                contents.CopyTo(each.Paged.Ram(DataFrame, contents.Length));
                each.Cpu.FlushTlb();
                GuestRegisters.Set(each.Cpu, state);
                each.Paged.Start(EmulatedGuest.Code, cpl);
            }

            BlockExit expected = processor.Paged.RunBlock(1, BlockMode.Single);
            BlockExit exit = emulated.Emulate();
            string name = $"{Convert.ToHexString(code)}: {exit}, processor {expected}";
            Assert.That(GuestSnapshot.Of(emulated.Paged), Is.EqualTo(GuestSnapshot.Of(processor.Paged)), name);
            Assert.That(exit, Is.EqualTo(expected), name);
            Assert.That(emulated.Paged.Ram(DataFrame, 0x1000).SequenceEqual(processor.Paged.Ram(DataFrame, 0x1000)), name);
            if (exit == BlockExit.Fault)
            {
                faults++;
                Assert.That(emulated.Cpu.PendingFault, Is.EqualTo(processor.Cpu.PendingFault), name);
            }

            retired += exit == BlockExit.Branch ? 1 : 0;
        }

        TestContext.Out.WriteLine($"{retired} retired, {faults} faults");
        Assert.That((retired > Tries / 10, faults > Tries / 10), Is.EqualTo((true, true)));
    }

    /// <summary>Whether the bytes may be HLT, port I/O, RDTSC, or a two-byte system instruction: state that the two guests do not compare.</summary>
    private static bool HasEffectsElsewhere(byte[] code)
    {
        int at = Array.FindIndex(code, b => b is not (0x66 or 0x67 or 0xF2 or 0xF3 or 0x2E or 0x36 or 0x3E or 0x26 or 0x64 or 0x65 or (>= 0x40 and <= 0x4F)));
        return at < 0 || code[at] is 0xF4 or 0x8E or 0xCF or 0xCB or 0xCA or (>= 0xE4 and <= 0xE7) or (>= 0xEC and <= 0xEF) or (>= 0x6C and <= 0x6F)
            || (code[at] == 0x0F && at < 15 && code[at + 1] is < 0x10 or (>= 0x20 and <= 0x23) or (>= 0x30 and <= 0x37) or 0xA2 or 0xAE);
    }

    private static HostState NextState(OperandSource source)
    {
        HostState state = new() { Rflags = source.NextStatusFlags() | Rflags.Fixed | Rflags.IF, Mxcsr = source.NextMxcsr() };
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = Data + 0x800 + (ulong)source.NextIndex(256);
            state.Xmm[i] = source.NextXmm();
        }

        state.Gpr[GeneralRegister.Rcx] = (ulong)source.NextIndex(5);
        return state;
    }

    private static EmulatedGuest Make()
    {
        EmulatedGuest guest = new();
        guest.Paged.Map(EmulatedGuest.Code, EmulatedGuest.CodeFrame, PageRights.User);
        guest.Paged.Map(Data, DataFrame, PageRights.Write | PageRights.User);
        return guest;
    }
}
