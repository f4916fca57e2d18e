using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Every x87 form against the host's processor, in random states of the stack, with every rounding and precision, exceptions masked.</summary>
[TestFixture]
public sealed class X87Tests
{
    private const int StatesPerCode = 2500;
    private const int StatesOfFullRun = 100_000;
    private const int Opcodes = 149;

    private static IEnumerable<Code> Codes() => InstructionFamilies.X87.Codes;

    [TestCaseSource(nameof(Codes))]
    public void AgreesWithTheHost(Code code) => Compare(code, StatesPerCode);

    [TestCaseSource(nameof(Codes))]
    [Category("Full")]
    public void AgreesWithTheHostInManyStates(Code code) => Compare(code, StatesOfFullRun);

    [Test]
    public void EveryOpcodeOfTheUnitIsThere() => Assert.That(InstructionFamilies.X87.Codes, Has.Count.EqualTo(Opcodes));

    private static void Compare(Code code, int states)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using SingleInstruction emulated = new(CpuFeature.Sse3);
        X87States source = new(host, new OperandSource((ulong)code));
        byte[] before = new byte[HostProcessor.ScratchSize], after = new byte[HostProcessor.ScratchSize];
        InstructionForm[] forms = [.. InstructionForms.Of(code, new FormOptions())];
        int compared = 0;
        for (int i = 0; i < states; i++)
        {
            InstructionForm form = forms[i % forms.Length];
            HostState start = source.Next(form);
            host.Scratch.CopyTo(before);
            HostState ours = start, theirs = start;
            BlockExit exit = emulated.Execute(form, ref ours, out BindKind kind);
            host.Scratch.CopyTo(after);
            before.CopyTo(host.Scratch);
            host.Run(form.Bytes, ref theirs);

            string? difference = exit != BlockExit.Branch || kind != BindKind.Straight
                ? $"{kind}, {exit}: {emulated.Cpu.PendingFault}"
                : X87Difference.Of(form.Instruction.Mnemonic, start, ref ours, theirs);
            difference ??= host.Scratch.SequenceEqual(after) ? null : $"memory differs {MemoryText(before, after, host.Scratch)}";
            if (difference is not null)
            {
                Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}], state {i}: {difference}");
            }

            compared++;
        }

        Assert.That(compared, Is.EqualTo(states));
    }

    private static string MemoryText(ReadOnlySpan<byte> before, ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs)
    {
        int at = ours.CommonPrefixLength(theirs);
        int start = at & ~15, length = Math.Min(32, ours.Length - start);
        return $"at {at:x}: {Convert.ToHexString(before.Slice(start, length))} -> {Convert.ToHexString(ours.Slice(start, length))}, host {Convert.ToHexString(theirs.Slice(start, length))}";
    }
}
