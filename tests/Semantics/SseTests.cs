using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Every form of SSE and SSE2 against the host's processor, in random states and with every setting of MXCSR but unmasked exceptions.</summary>
[TestFixture]
public sealed class SseTests
{
    private const int States = 60;

    private static IEnumerable<Code> Codes() =>
        InstructionFamilies.Named("sse").Codes.Concat(InstructionFamilies.Named("sse2").Codes).Distinct();

    [TestCaseSource(nameof(Codes))]
    public void AgreesWithTheHost(Code code)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using SingleInstruction emulated = new();
        FormStates states = new(host, new OperandSource((ulong)code));
        byte[] before = new byte[HostProcessor.ScratchSize], after = new byte[HostProcessor.ScratchSize];
        int compared = 0;
        foreach (InstructionForm form in InstructionForms.Of(code, new FormOptions()))
        {
            for (int i = 0; i < States && states.TryNext(form, out HostState start); i++)
            {
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
                if (difference is not null)
                {
                    Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
                }

                compared++;
            }
        }

        Assert.That((compared > 0, emulated.UpperBitsKept), Is.EqualTo((true, true)));
    }

    private static bool IsApproximate(Code code) => code.Mnemonic() is Mnemonic.Rcpss or Mnemonic.Rcpps or Mnemonic.Rsqrtss or Mnemonic.Rsqrtps;
}
