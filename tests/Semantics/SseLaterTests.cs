using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The opcodes of MMX, and of SSE3 to SHA in the legacy encoding, and every value of their immediates against the host's processor.</summary>
[TestFixture]
public sealed class SseLaterTests
{
    private const int CasesPerControl = 24;

    private HostComparison? comparison;

    [OneTimeSetUp]
    public void Begin() => comparison = HostProcessor.IsSupported ? new HostComparison() : null;

    [OneTimeTearDown]
    public void End() => comparison?.Dispose();

    private static IEnumerable<Code> Codes() => InstructionFamilies.LaterVector.SelectMany(family => family.Codes);

    private static IEnumerable<Code> CodesWithControl() => Codes().Where(code => code.ToOpCode() is { OpCount: > 0 } info && info.GetOpKind(info.OpCount - 1) == OpCodeOperandKind.imm8);

    /// <summary>The opcodes of the SDM, counted by Iced's tables; a REX.W form that reads or writes another register counts apart.</summary>
    [TestCase("mmx", 103)]
    [TestCase("sse3", 10)]
    [TestCase("ssse3", 16)]
    [TestCase("sse4.1", 53)]
    [TestCase("sse4.2", 7)]
    [TestCase("aes", 6)]
    [TestCase("pclmulqdq", 1)]
    [TestCase("sha", 7)]
    public void NoOpcodeIsLeftOut(string family, int opcodes) =>
        Assert.That(InstructionFamilies.Named(family).Codes, Has.Count.EqualTo(opcodes));

    /// <summary>All 256 values of the immediate, from a register and from memory.</summary>
    [TestCaseSource(nameof(CodesWithControl))]
    public void EveryControlAgreesWithTheHost(Code code) => Run(code);

    private static IEnumerable<InstructionForm> WithEveryControl(Code code)
    {
        InstructionForm[] forms = [.. InstructionForms.Of(code, new FormOptions())];
        InstructionForm[] samples = [.. forms.DistinctBy(form => form.Instruction.OpCount > 1 && HasMemory(form.Instruction))];
        for (int i = 0; i < 512; i++)
        {
            InstructionForm sample = samples[i % samples.Length];
            byte[] bytes = [.. sample.Bytes.AsSpan(0, sample.Bytes.Length - 1), (byte)(i / 2)];
            Decoder decoder = Decoder.Create(64, bytes);
            yield return new InstructionForm(decoder.Decode(), bytes);
        }
    }

    private static bool HasMemory(in Instruction instruction) => instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory;

    private void Run(Code code)
    {
        if (comparison is null || !HostFeatures.Has(code))
        {
            Assert.Ignore("needs an x64 Linux host that has the instruction");
        }

        comparison.Run(code, 512 * CasesPerControl, WithEveryControl(code));
    }
}
