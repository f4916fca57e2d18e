using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Every integer form against the host's own processor, with memory that both see at the same addresses.</summary>
[TestFixture]
public sealed class IntegerTests
{
    private const int StatesPerForm = 12;

    public static IEnumerable<InstructionFamily> Families => InstructionFamilies.All.Where(family => !InstructionFamilies.IsVector(family));

    [TestCaseSource(nameof(Families))]
    public void FormsDoWhatTheHostProcessorDoes(InstructionFamily family)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using FlatProcessor emulator = new();
        FormStates states = new(host, new OperandSource(23));
        FormOptions options = new(StackPointer: true, AbsoluteAddress: host.ScratchAddress + 0x100);
        Mismatches mismatches = new();
        byte[] memory = new byte[HostProcessor.ScratchSize], expectedMemory = new byte[HostProcessor.ScratchSize];
        int compared = 0;
        foreach (InstructionForm form in InstructionForms.Of(family, options))
        {
            if (!emulator.Load(form.Bytes))
            {
                mismatches.Add($"{form.Instruction}: not emulated");
                continue;
            }

            for (int i = 0; i < StatesPerForm && states.TryNext(form, out HostState before); i++)
            {
                host.Scratch.CopyTo(memory);
                HostState expected = HostRun.Run(host, form, before);
                host.Scratch.CopyTo(expectedMemory);
                memory.CopyTo(host.Scratch);
                HostState actual = before;
                if (!emulator.Run(ref actual))
                {
                    mismatches.Add($"{form.Instruction}: {emulator.Fault}");
                    continue;
                }

                mismatches.Compare(form, before, expected, actual, expectedMemory, host.Scratch);
                compared++;
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches.Text, Is.Empty);
            Assert.That(compared, Is.GreaterThan(6));
        }
    }
}
