using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Every VEX-encoded vector form against the host's processor, in random states and with every setting of MXCSR but unmasked exceptions.</summary>
[TestFixture]
public sealed class AvxTests
{
    private const int FewStates = 4;
    private const int StatesPerControl = 2;
    private const int CasesPerOpcode = 100_000;

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

    [TestCaseSource(nameof(Codes))]
    public void AgreesWithTheHost(Code code) => Compare(code, FewStates);

    [TestCaseSource(nameof(Codes))]
    [Category("Full")]
    public void AgreesWithTheHostAtLength(Code code) => Compare(code, CasesPerOpcode / Math.Max(InstructionForms.Of(code, new FormOptions()).Count(), 1) + 1);

    private static IEnumerable<Code> CodesWithControl() => Codes().Where(code => code.ToOpCode() is { OpCount: > 0 } info && info.GetOpKind(info.OpCount - 1) == OpCodeOperandKind.imm8);

    /// <summary>All 256 values of the immediate, from registers and from memory.</summary>
    [TestCaseSource(nameof(CodesWithControl))]
    public void EveryControlAgreesWithTheHost(Code code) => Compare(code, WithEveryControl(code), StatesPerControl);

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

    private static void Compare(Code code, int statesPerForm) => Compare(code, InstructionForms.Of(code, new FormOptions()), statesPerForm);

    private static void Compare(Code code, IEnumerable<InstructionForm> all, int statesPerForm)
    {
        if (!HostProcessor.IsSupported || !HostHas(code))
        {
            Assert.Ignore("needs an x64 Linux host that has the instruction");
        }

        using HostProcessor host = new();
        using SingleInstruction emulated = new();
        OperandSource source = new((ulong)code);
        FormStates states = new(host, source);
        VectorStates vectors = new(host, source, code);
        byte[] before = new byte[HostProcessor.ScratchSize], after = new byte[HostProcessor.ScratchSize];
        int compared = 0, forms = 0;
        foreach (InstructionForm form in all)
        {
            forms++;
            for (int i = 0; i < statesPerForm && states.TryNext(form, out HostState start); i++)
            {
                vectors.Prepare(form, ref start);
                host.Scratch.CopyTo(before);
                HostState ours = start, theirs = start;
                BlockExit exit = emulated.Execute(form, ref ours, out BindKind kind);
                host.Scratch.CopyTo(after);
                before.CopyTo(host.Scratch);
                host.Run(form.Bytes, ref theirs);

                string? difference = exit != BlockExit.Branch || kind != BindKind.Straight
                    ? $"{kind}, {exit}: {emulated.Cpu.PendingFault}"
                    : StateDifference.Of(start, ours, theirs, IsApproximate(code));
                difference ??= host.Scratch.SequenceEqual(after) ? null : "memory differs";
                difference ??= UpperBits.Check(form.Instruction, emulated.Cpu);
                if (difference is not null)
                {
                    Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
                }

                compared++;
            }
        }

        Assert.That((forms > 0, compared), Is.EqualTo((true, forms * statesPerForm)));
    }

    private static bool HostHas(Code code) => code.CpuidFeatures().All(feature => feature switch
    {
        CpuidFeature.AVX => System.Runtime.Intrinsics.X86.Avx.IsSupported,
        CpuidFeature.AVX2 or CpuidFeature.F16C => System.Runtime.Intrinsics.X86.Avx2.IsSupported,
        CpuidFeature.FMA => System.Runtime.Intrinsics.X86.Fma.IsSupported,
        CpuidFeature.AES => System.Runtime.Intrinsics.X86.Aes.IsSupported,
        _ => System.Runtime.Intrinsics.X86.Pclmulqdq.IsSupported,
    });

    private static bool IsApproximate(Code code) => code.Mnemonic() is Mnemonic.Vrcpss or Mnemonic.Vrcpps or Mnemonic.Vrsqrtss or Mnemonic.Vrsqrtps;
}
