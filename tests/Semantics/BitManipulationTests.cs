using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Every form of BMI1, BMI2, LZCNT, ADX and MOVBE against the host's processor.</summary>
[TestFixture]
public sealed class BitManipulationTests
{
    private const int CasesPerOpcode = 2_000;
    private const int FullCasesPerOpcode = 100_000;

    private static readonly Dictionary<string, int> Opcodes = new() { ["bmi1"] = 13, ["bmi2"] = 16, ["lzcnt"] = 3, ["adx"] = 4, ["movbe"] = 6 };

    public static IEnumerable<Code> Codes => InstructionFamilies.BitManipulation.SelectMany(family => family.Codes);

    [TestCaseSource(nameof(Codes))]
    public void AgreesWithTheHost(Code code) => Compare(code, CasesPerOpcode);

    [TestCaseSource(nameof(Codes))]
    [Category("Full")]
    public void AgreesWithTheHostAtLength(Code code) => Compare(code, FullCasesPerOpcode);

    [Test]
    public void TheFamiliesAreWhole()
    {
        foreach (InstructionFamily family in InstructionFamilies.BitManipulation)
        {
            Assert.That(family.Codes, Has.Count.EqualTo(Opcodes[family.Name]), family.Name);
        }
    }

    /// <summary>The fallbacks for hosts without the instructions, against the instructions.</summary>
    [Test]
    public void DepositAndExtractWorkOnAnyHost()
    {
        if (!Bmi2.X64.IsSupported)
        {
            Assert.Ignore("needs a host with BMI2");
        }

        OperandSource source = new(5);
        for (int i = 0; i < 20_000; i++)
        {
            ulong value = source.NextRegister(), mask = source.NextRegister();
            Assert.That(DepositBits.Portable(value, mask), Is.EqualTo(Bmi2.X64.ParallelBitDeposit(value, mask)), $"{value:x} {mask:x}");
            Assert.That(ExtractBits.Portable(value, mask), Is.EqualTo(Bmi2.X64.ParallelBitExtract(value, mask)), $"{value:x} {mask:x}");
        }
    }

    /// <summary>F3 before BSF and BSR means nothing to a processor without TZCNT and LZCNT.</summary>
    [TestCase("F3480FBCC1", 0x100ul, 8ul, TestName = "TZCNT as BSF")]
    [TestCase("F3480FBDC1", 0x100ul, 8ul, TestName = "LZCNT as BSR")]
    public void WithoutTheFeatureAScan(string bytes, ulong source, ulong expected)
    {
        CpuFeatures older = CpuFeatures.Parse("max,-bmi1,-lzcnt");
        using TestMachine machine = new(older);
        machine.Machine.WriteMemory(new(TestMachine.KernelCode), [.. Convert.FromHexString(bytes), 0xF4]);
        machine.State.Gpr[GeneralRegister.Rcx] = source;
        machine.State.Rip = TestMachine.KernelCode;
        machine.Machine.Run(10);
        Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(expected));
    }

    private static void Compare(Code code, int cases)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using FlatProcessor emulator = new();
        FormStates states = new(host, new OperandSource((ulong)code));
        InstructionForm[] forms = [.. InstructionForms.Of(code, new FormOptions(StackPointer: true))];
        byte[] memory = new byte[HostProcessor.ScratchSize], expectedMemory = new byte[HostProcessor.ScratchSize];
        int compared = 0;
        foreach (InstructionForm form in forms)
        {
            Assert.That(emulator.Load(form.Bytes), $"{form.Instruction}: not emulated");
            for (int i = 0; i < (cases / forms.Length) + 1 && states.TryNext(form, out HostState before); i++)
            {
                host.Scratch.CopyTo(memory);
                HostState expected = HostRun.Run(host, form, before), actual = before;
                host.Scratch.CopyTo(expectedMemory);
                memory.CopyTo(host.Scratch);
                bool ran = emulator.Run(ref actual);
                ulong undefined = UndefinedState.Flags(form.Instruction, before);
                actual.Rflags = (actual.Rflags & ~undefined) | (expected.Rflags & undefined);
                string? difference = !ran ? $"{emulator.Fault}" : StateDifference.Of(before, actual, expected, approximate: false);
                difference ??= host.Scratch.SequenceEqual(expectedMemory) ? null : "memory differs";
                if (difference is not null)
                {
                    Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
                }

                compared++;
            }
        }

        Assert.That(compared, Is.GreaterThanOrEqualTo(cases));
    }
}
