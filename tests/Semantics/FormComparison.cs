using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Runs every form of an opcode in the emulator and on the host's processor, on states meant for what its operands are.</summary>
internal sealed class FormComparison : IDisposable
{
    private readonly HostProcessor host = new();
    private readonly FlatProcessor emulator = new();
    private readonly byte[] memory = new byte[HostProcessor.ScratchSize];
    private readonly byte[] expectedMemory = new byte[HostProcessor.ScratchSize];

    /// <summary>Compares at least <paramref name="cases"/> states, as many for each form; fails at the first that differs.</summary>
    public void Run(Code code, int cases, IEnumerable<InstructionForm> forms)
    {
        OperandSource source = new((ulong)code);
        FormStates states = new(host, source);
        VectorStates vectors = new(host, source, code);
        InstructionForm[] all = [.. forms];
        int each = (cases + all.Length - 1) / Math.Max(all.Length, 1);
        int compared = 0;
        foreach (InstructionForm form in all)
        {
            Assert.That(emulator.Load(form.Bytes), $"{form.Instruction} [{Convert.ToHexString(form.Bytes)}] is not emulated");
            for (int i = 0; i < each && states.TryNext(form, out HostState start); i++)
            {
                vectors.Prepare(form, ref start);
                Compare(form, start);
                compared++;
            }
        }

        Assert.That((compared >= cases, emulator.UpperBitsKept), Is.EqualTo((true, true)), $"{compared} states compared");
    }

    public void Dispose()
    {
        host.Dispose();
        emulator.Dispose();
    }

    private void Compare(InstructionForm form, in HostState start)
    {
        host.Scratch.CopyTo(memory);
        HostState expected = HostRun.Run(host, form, start), actual = start;
        host.Scratch.CopyTo(expectedMemory);
        memory.CopyTo(host.Scratch);
        string? difference = emulator.Run(ref actual) ? StateDifference.Of(start, actual, expected, approximate: false) : $"{emulator.Fault}";
        difference ??= host.Scratch.SequenceEqual(expectedMemory) ? null : "memory differs";
        if (difference is not null)
        {
            Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
        }
    }
}
