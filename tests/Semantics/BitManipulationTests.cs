using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>The opcodes of BMI1, BMI2, LZCNT, ADX and MOVBE: none left out, on hosts without them, and on models without them.</summary>
[TestFixture]
public sealed class BitManipulationTests
{
    private static readonly Dictionary<string, int> Opcodes = new() { ["bmi1"] = 13, ["bmi2"] = 16, ["lzcnt"] = 3, ["adx"] = 4, ["movbe"] = 6 };

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
}
