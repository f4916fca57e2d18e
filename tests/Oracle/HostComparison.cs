using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>
/// Runs forms in the emulator and on the host's processor, on states meant for what their operands are, and compares every register, the
/// flags less those that the SDM leaves undefined, and memory.
/// </summary>
internal sealed class HostComparison : IDisposable
{
    /// <summary>How often a form may be asked for more states while others have none.</summary>
    private const int Rounds = 8;

    private readonly HostProcessor host = new();
    private readonly FlatProcessor emulator = new();
    private readonly byte[] memory = new byte[HostProcessor.ScratchSize];
    private readonly byte[] expectedMemory = new byte[HostProcessor.ScratchSize];

    private uint written;

    /// <summary>The forms of an opcode, the stack pointer and absolute addresses among their operands.</summary>
    public IEnumerable<InstructionForm> FormsOf(Code code) =>
        InstructionForms.Of(code, new FormOptions(StackPointer: true, AbsoluteAddress: host.ScratchAddress + 0x100));

    /// <summary>
    /// Compares at least <paramref name="cases"/> states, divided among the forms; fails at the first that differs, and for a form without
    /// a state, which only divisions and bit offsets may be.
    /// </summary>
    /// <returns>How many states were compared.</returns>
    public int Run(Code code, int cases, IEnumerable<InstructionForm> forms, SuiteKind kind = SuiteKind.Straight)
    {
        OperandSource source = new((ulong)code);
        FormStates states = new(host, source);
        VectorStates vectors = new(host, source, code);
        X87States unit = new(host, source);
        InstructionForm[] all = [.. forms];
        int compared = 0;
        for (int round = 0; round < Rounds && compared < cases && all.Length != 0; round++)
        {
            int each = (cases - compared + all.Length - 1) / all.Length;
            foreach (InstructionForm form in all)
            {
                Assert.That(emulator.Load(form.Bytes), $"{form.Instruction} [{Convert.ToHexString(form.Bytes)}] is not emulated");
                int before = compared;
                written = form.Instruction.Encoding == EncodingKind.VEX ? UpperBits.Written(form.Instruction) : 0;
                for (int i = 0; i < each && TryNext(form, out HostState start); i++)
                {
                    Compare(form, start, kind);
                    compared++;
                }

                Assert.That(compared > before || MayHaveNoState(code.Mnemonic()), $"{form.Instruction} has no state");
            }
        }

        Assert.That(compared, Is.GreaterThanOrEqualTo(cases), $"states of {code}");
        return compared;

        bool TryNext(InstructionForm form, out HostState start)
        {
            if (kind == SuiteKind.X87)
            {
                start = unit.Next(form);
                return true;
            }

            bool found = states.TryNext(form, out start);
            if (found)
            {
                vectors.Prepare(form, ref start);
            }

            return found;
        }
    }

    public void Dispose()
    {
        host.Dispose();
        emulator.Dispose();
    }

    private static bool MayHaveNoState(Mnemonic mnemonic) =>
        mnemonic is Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc;

    private void Compare(InstructionForm form, in HostState start, SuiteKind kind)
    {
        bool touchesMemory = FormStates.TouchesMemory(form);
        if (touchesMemory)
        {
            host.Scratch.CopyTo(memory);
        }

        HostState expected = HostRun.Run(host, form, start), actual = start;
        if (touchesMemory)
        {
            host.Scratch.CopyTo(expectedMemory);
            memory.CopyTo(host.Scratch);
        }

        string? difference = emulator.Run(ref actual) ? Difference(form, start, expected, ref actual, kind) : $"{emulator.Fault}";
        if (touchesMemory && difference is null && !host.Scratch.SequenceEqual(expectedMemory) && !IsUndefinedMemory(form, start, expected))
        {
            difference = MemoryText(host.Scratch);
        }

        if (difference is not null)
        {
            Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
        }
    }

    private string? Difference(InstructionForm form, in HostState start, in HostState expected, ref HostState actual, SuiteKind kind)
    {
        Instruction instruction = form.Instruction;
        ulong undefined = UndefinedState.Flags(instruction, start);
        actual.Rflags = (actual.Rflags & ~undefined) | (expected.Rflags & undefined);
        if (instruction.Op0Kind == OpKind.Register && UndefinedState.Destination(instruction, start, expected))
        {
            HostState theirs = expected;
            actual[instruction.Op0Register] = theirs[instruction.Op0Register];
        }

        string? difference = kind == SuiteKind.X87
            ? X87Difference.Of(instruction.Mnemonic, start, ref actual, expected)
            : StateDifference.Of(start, actual, expected, InstructionFamilies.IsApproximate(instruction));
        if (instruction.Encoding == EncodingKind.VEX)
        {
            return difference ?? UpperBits.Check(written, emulator.Cpu);
        }

        return difference ?? (emulator.UpperBitsKept ? null : "bits 256 and up of a vector register changed");
    }

    private static bool IsUndefinedMemory(InstructionForm form, in HostState start, in HostState expected) =>
        form.Instruction.Op0Kind == OpKind.Memory && UndefinedState.Destination(form.Instruction, start, expected);

    private string MemoryText(ReadOnlySpan<byte> actual)
    {
        int at = actual.CommonPrefixLength(expectedMemory) & ~15, length = Math.Min(32, actual.Length - at);
        return $"memory at +{at:x}: {Convert.ToHexString(memory, at, length)} -> {Convert.ToHexString(actual.Slice(at, length))}, host {Convert.ToHexString(expectedMemory, at, length)}";
    }
}
