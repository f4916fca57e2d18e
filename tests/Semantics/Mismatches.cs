using System.Globalization;
using System.Text;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>Collects where emulator and host disagree, the first of each opcode in words.</summary>
internal sealed class Mismatches
{
    private const int MostReported = 40;

    private readonly StringBuilder text = new();
    private readonly HashSet<string> reported = [];

    /// <summary>One line for each opcode and kind of disagreement; empty when there is none.</summary>
    public string Text => text.ToString();

    /// <summary>Notes a disagreement.</summary>
    public void Add(string line)
    {
        if (reported.Count < MostReported && reported.Add(line.Split(' ', ':')[0]))
        {
            text.AppendLine(line);
        }
    }

    /// <summary>Compares the states and memory that two runs of a form left.</summary>
    public void Compare(
        InstructionForm form, in HostState before, in HostState expected, in HostState actual, ReadOnlySpan<byte> expectedMemory, ReadOnlySpan<byte> actualMemory)
    {
        Instruction instruction = form.Instruction;
        bool skipsDestination = UndefinedState.Destination(instruction, before, expected);
        for (int i = 0; i < 16; i++)
        {
            bool undefined = skipsDestination && instruction.Op0Kind == OpKind.Register && instruction.Op0Register.GetFullRegister() == Register.RAX + i;
            if (expected.Gpr[i] != actual.Gpr[i] && !undefined)
            {
                Add(form, before, $"{Register.RAX + i} = {actual.Gpr[i]:x}, host {expected.Gpr[i]:x}, before {before.Gpr[i]:x}");
            }
        }

        ulong flags = (expected.Rflags ^ actual.Rflags) & ~UndefinedState.Flags(instruction, before);
        if (flags != 0)
        {
            Add(form, before, $"flags differ in {flags:x}: host {expected.Rflags:x}, before {before.Rflags:x}");
        }

        int at = expectedMemory.CommonPrefixLength(actualMemory);
        if (at != expectedMemory.Length && !(skipsDestination && instruction.Op0Kind == OpKind.Memory))
        {
            Add(form, before, $"memory at +{at:x} = {actualMemory[at]:x}, host {expectedMemory[at]:x}");
        }
    }

    private void Add(InstructionForm form, in HostState before, FormattableString what) => Add(string.Create(
        CultureInfo.InvariantCulture,
        $"{form.Instruction.Code} {form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {what.ToString(CultureInfo.InvariantCulture)} (rax {before.Gpr[0]:x} rcx {before.Gpr[1]:x})"));
}
