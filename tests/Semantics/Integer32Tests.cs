using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The integer, string and stack instructions of 16-bit and 32-bit code against the host's own processor.</summary>
[TestFixture]
public sealed class Integer32Tests
{
    private const int FormsPerOpcode = 16;
    private const int StatesPerForm = 6;
    private const int Tries = 8;

    /// <summary>The prefixes of each opcode: none, the other operand size, the other address size, both, and repetition.</summary>
    private static readonly byte[][] Prefixes = [[], [0x66], [0x67], [0x66, 0x67], [0xF3], [0xF2]];

    [TestCase(32, 0x00)]
    [TestCase(32, 0x0F)]
    [TestCase(16, 0x00)]
    [TestCase(16, 0x0F)]
    public void FormsDoWhatTheHostProcessorDoes(int bits, int map)
    {
        if (HostProcessor32.WhyNot is string reason)
        {
            Assert.Ignore(reason);
        }

        using HostProcessor32 host = new(bits);
        using FlatProcessor32 emulator = new(host);
        LegacyForms forms = new(host, new OperandSource(37));
        Mismatches mismatches = new();
        HashSet<Iced.Intel.Code> seen = [];
        for (int opcode = 0; opcode < 256; opcode++)
        {
            byte[] bytes = map == 0x0F ? [0x0F, (byte)opcode] : [(byte)opcode];
            foreach (byte[] prefixes in Prefixes)
            {
                for (int i = 0; i < FormsPerOpcode; i++)
                {
                    if (forms.TryForm(prefixes, bytes) is InstructionForm form)
                    {
                        Compare(host, emulator, forms, form, mismatches);
                        seen.Add(form.Instruction.Code);
                    }
                }
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches.Text, Is.Empty);
            Assert.That(seen, Has.Count.GreaterThan(map == 0x0F ? 90 : 250));
            Assert.That(VerificationSuites.Legacy.Where(code => !seen.Contains(code)
                && Iced.Intel.EncoderCodeExtensions.ToOpCode(code).Table == (map == 0x0F ? Iced.Intel.OpCodeTableKind.T0F : Iced.Intel.OpCodeTableKind.Normal)), Is.Empty);
        }
    }

    private static void Compare(HostProcessor32 host, FlatProcessor32 emulator, LegacyForms forms, InstructionForm form, Mismatches mismatches)
    {
        if (!emulator.Load(form.Bytes))
        {
            mismatches.Add($"{form.Instruction.Code} {form.Instruction}: not emulated");
            return;
        }

        byte[] memory = new byte[HostProcessor.ScratchSize], expectedMemory = new byte[HostProcessor.ScratchSize];
        for (int i = 0, tries = 0; i < StatesPerForm && tries < Tries; tries++)
        {
            if (!forms.TryState(form, out HostState before))
            {
                continue;
            }

            i++;
            host.Scratch.CopyTo(memory);
            HostState expected = before;
            host.Run(form.Bytes, ref expected);
            host.Scratch.CopyTo(expectedMemory);
            memory.CopyTo(host.Scratch);
            HostState actual = before;
            if (!emulator.Run(ref actual))
            {
                mismatches.Add($"{form.Instruction.Code} {form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {emulator.Fault}");
                continue;
            }

            mismatches.Compare(form, before, expected, actual, expectedMemory, host.Scratch);
        }
    }
}
