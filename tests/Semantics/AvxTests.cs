using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The VEX-encoded vector opcodes, and every value of their immediates against the host's processor.</summary>
[TestFixture]
public sealed class AvxTests
{
    private const int CasesPerOpcode = 1024;

    private HostComparison? comparison;

    [OneTimeSetUp]
    public void Begin() => comparison = HostProcessor.IsSupported ? new HostComparison() : null;

    [OneTimeTearDown]
    public void End() => comparison?.Dispose();

    private static IEnumerable<Code> Codes() => InstructionFamilies.Vex.SelectMany(family => family.Codes);

    [TestCase("avx", 397)]
    [TestCase("avx2", 172)]
    [TestCase("fma", 96)]
    [TestCase("f16c", 4)]
    public void FamiliesHaveTheirOpcodes(string family, int opcodes)
    {
        Code[] codes = [.. InstructionFamilies.Vex.Single(each => each.Name == family).Codes];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(codes, Has.Length.EqualTo(opcodes));
            Assert.That(codes.Where(code => !InstructionForms.Of(code, new FormOptions()).Any()), Is.Empty, "without a form");
        }
    }

    private static IEnumerable<Code> CodesWithControl() => Codes().Where(code => code.ToOpCode() is { OpCount: > 0 } info && info.GetOpKind(info.OpCount - 1) == OpCodeOperandKind.imm8);

    /// <summary>All 256 values of the immediate, from registers and from memory.</summary>
    [TestCaseSource(nameof(CodesWithControl))]
    public void EveryControlAgreesWithTheHost(Code code)
    {
        if (comparison is null || !HostFeatures.Has(code))
        {
            Assert.Ignore("needs an x64 Linux host that has the instruction");
        }

        comparison.Run(code, CasesPerOpcode, WithEveryControl(code));
    }

    private static IEnumerable<InstructionForm> WithEveryControl(Code code)
    {
        InstructionForm[] samples = [.. InstructionForms.Of(code, new FormOptions()).DistinctBy(form => form.Instruction.MemoryBase != Register.None)];
        for (int control = 0; control < 256; control++)
        {
            foreach (InstructionForm sample in samples)
            {
                byte[] bytes = [.. sample.Bytes.AsSpan(0, sample.Bytes.Length - 1), (byte)control];
                yield return new InstructionForm(Decoder.Create(64, bytes).Decode(), bytes);
            }
        }
    }
}
