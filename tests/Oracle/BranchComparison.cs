using System.Runtime.InteropServices;
using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>
/// Runs near jumps, calls and returns in the emulator and on the host's processor, at the same address where it shows, and compares where
/// they go, registers and the stack.
/// </summary>
internal sealed class BranchComparison : IDisposable
{
    private const ulong Here = 0x20_0000;

    /// <summary>What RET may release, so that RSP stays within the memory that signals may use.</summary>
    private const int MostReleased = 0x80;

    private readonly HostProcessor host = new();
    private readonly FlatProcessor emulator = new();
    private readonly byte[] memory = new byte[HostProcessor.ScratchSize];
    private readonly byte[] expectedMemory = new byte[HostProcessor.ScratchSize];

    /// <summary>The forms of an opcode: some targets, registers and memory operands.</summary>
    public static IEnumerable<InstructionForm> FormsOf(Code code) => IsRelative(code)
        ? ((long[])[0, 2, 0x7F, -0x80]).Select(distance => Relative(code, distance))
        : InstructionForms.Of(code, new FormOptions()).Where(form => form.Instruction.Op0Kind != OpKind.Immediate16 || form.Instruction.Immediate16 <= MostReleased);

    /// <summary>Compares at least <paramref name="cases"/> states, divided among the forms; fails at the first that differs.</summary>
    /// <returns>How many states were compared.</returns>
    public int Run(Code code, int cases, IEnumerable<InstructionForm> forms)
    {
        OperandSource source = new((ulong)code);
        FormStates states = new(host, source);
        InstructionForm[] all = [.. forms];
        int each = (cases + all.Length - 1) / all.Length, compared = 0, taken = 0;
        foreach (InstructionForm form in all)
        {
            for (int i = 0; i < each; i++)
            {
                Assert.That(states.TryNext(form, out HostState start), $"{form.Instruction} has no state");
                if (code.FlowControl() == FlowControl.ConditionalBranch)
                {
                    ref ulong count = ref start[Register.RCX];
                    ulong small = (ulong)source.NextIndex(3);
                    count = source.NextIndex(3) switch { 0 => small, 1 => small | (count << 32), _ => count };
                }

                bool branched = UsesStub(code) ? CompareNear(form, start) : CompareRelative(form, start);
                taken += branched ? 1 : 0;
                compared++;
            }
        }

        bool isConditional = code.FlowControl() == FlowControl.ConditionalBranch;
        Assert.That(taken, isConditional ? Is.InRange(cases / 16, compared - (cases / 16)) : Is.EqualTo(compared), $"branches of {code} taken");
        return compared;
    }

    public void Dispose()
    {
        host.Dispose();
        emulator.Dispose();
    }

    private static bool IsRelative(Code code) => code.ToOpCode().GetOpKind(0) is OpCodeOperandKind.br64_1 or OpCodeOperandKind.br64_4 && code.ToOpCode().OpCount == 1;

    private static bool UsesStub(Code code) => code.FlowControl() is FlowControl.Call or FlowControl.IndirectCall or FlowControl.IndirectBranch or FlowControl.Return;

    private static InstructionForm Relative(Code code, long distance)
    {
        MemoryStream stream = new();
        Encoder encoder = Encoder.Create(64, new StreamCodeWriter(stream));
        Instruction probe = Instruction.CreateBranch(code, Here);
        uint length = encoder.Encode(probe, Here - 2);
        stream.SetLength(0);
        encoder.Encode(Instruction.CreateBranch(code, Here + length + (ulong)distance), Here);
        byte[] bytes = stream.ToArray();
        return new InstructionForm(Decoder.Create(64, bytes, Here).Decode(), bytes);
    }

    private bool CompareRelative(InstructionForm form, in HostState start)
    {
        HostState expected = start, actual = start;
        bool taken = host.RunBranch(form.Bytes, ref expected);
        Assert.That(emulator.Load(form.Bytes, Here), $"{form.Instruction} is not emulated");
        bool retired = emulator.Run(ref actual);
        ulong target = taken ? form.Instruction.NearBranchTarget : Here + (ulong)form.Bytes.Length;
        Check(form, retired, target, start, actual, expected);
        return taken;
    }

    private bool CompareNear(InstructionForm form, HostState start)
    {
        (ulong address, ulong landing) = host.PlaceNear(form.Bytes);
        Instruction instruction = form.Instruction;
        if (instruction.FlowControl == FlowControl.Return)
        {
            MemoryMarshal.Write(host.Scratch[(int)(start[Register.RSP] - host.ScratchAddress)..], landing);
        }
        else if (instruction.Op0Kind == OpKind.Memory)
        {
            ulong operand = instruction.GetVirtualAddress(0, 0, (register, _, _) =>
                register.IsSegmentRegister() ? 0 : register.IsGPR32() ? (uint)start[register] : start[register]);
            MemoryMarshal.Write(host.Scratch[(int)(operand - host.ScratchAddress)..], landing);
        }
        else if (instruction.Op0Kind == OpKind.Register)
        {
            start[instruction.Op0Register] = landing;
        }

        host.Scratch.CopyTo(memory);
        HostState expected = start, actual = start;
        bool arrived = host.RunNear(form.Bytes, ref expected);
        host.Scratch.CopyTo(expectedMemory);
        memory.CopyTo(host.Scratch);
        Assert.That(emulator.Load(form.Bytes, address), $"{instruction} is not emulated");
        bool retired = emulator.Run(ref actual);
        bool isRelative = instruction.Code == Code.Call_rel32_64;
        ulong target = isRelative ? address + (instruction.NearBranchTarget - Here) : landing;
        Check(form, retired, target, start, actual, expected);
        Assert.That(host.Scratch.SequenceEqual(expectedMemory), $"{instruction}: memory differs");
        return arrived;
    }

    private void Check(InstructionForm form, bool retired, ulong target, in HostState start, in HostState actual, in HostState expected)
    {
        string? difference = !retired ? $"{emulator.Fault}"
            : emulator.Rip != target ? $"goes to {emulator.Rip:x}, not to {target:x}"
            : StateDifference.Of(start, actual, expected, approximate: false);
        if (difference is not null)
        {
            Assert.Fail($"{form.Instruction} [{Convert.ToHexString(form.Bytes)}]: {difference}");
        }
    }
}
