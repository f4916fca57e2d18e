using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Every opcode that can touch memory, through the emulator: in RAM it does what the processor does; on a device it makes the accesses that
/// Iced's description of the opcode says; and where something fails on the way, it begins again as if nothing had been.
/// </summary>
[TestFixture]
internal sealed class EmulatedCodesTests
{
    private const int LeastCodes = 1000;

    /// <summary>
    /// What makes several accesses to one operand, or none to some of its bytes: areas of state, which other tests hold; SGDT and SIDT, limit
    /// before base; operands of which a mask chooses elements.
    /// </summary>
    private static readonly HashSet<Mnemonic> OtherBytes =
    [
        Mnemonic.Fxsave, Mnemonic.Fxsave64, Mnemonic.Fxrstor, Mnemonic.Fxrstor64, Mnemonic.Xsave, Mnemonic.Xsave64, Mnemonic.Xsaveopt,
        Mnemonic.Xsaveopt64, Mnemonic.Xsavec, Mnemonic.Xsavec64, Mnemonic.Xsaves, Mnemonic.Xsaves64, Mnemonic.Xrstor, Mnemonic.Xrstor64,
        Mnemonic.Xrstors, Mnemonic.Xrstors64, Mnemonic.Frstor, Mnemonic.Fnsave, Mnemonic.Fldenv, Mnemonic.Fnstenv, Mnemonic.Sgdt, Mnemonic.Sidt,
        Mnemonic.Vmaskmovps, Mnemonic.Vmaskmovpd, Mnemonic.Vpmaskmovd, Mnemonic.Vpmaskmovq, Mnemonic.Maskmovq, Mnemonic.Maskmovdqu,
        Mnemonic.Vmaskmovdqu,
    ];

    private sealed record Run(BlockExit Exit, byte[] State, byte[] Memory, GuestFault? Fault, string Log);

    [TestCase(1)]
    [TestCase(50, Category = "Full")]
    public void AnOpcodeInRamDoesWhatItDoesOnTheProcessor(int states)
    {
        using EmulatedCodes codes = new();
        Mismatches mismatches = new();
        int compared = 0;
        foreach ((Instruction instruction, byte[] bytes) in EmulatedCodes.All)
        {
            for (int i = 0; i < states; i++)
            {
                codes.Choose(instruction, bytes, new OperandSource((ulong)(i + 1)));
                codes.Prepare(onDevice: false);
                Run processor = Finish(codes, RunOnProcessor(codes), onDevice: false);
                if (IsUndefined(processor))
                {
                    break;
                }

                Run emulated = Emulate(codes, onDevice: false);
                compared += i == 0 ? 1 : 0;
                Compare(mismatches, instruction, "in RAM", emulated, processor);
                Run onDevice = Emulate(codes, onDevice: true);
                Compare(mismatches, instruction, "on a device", onDevice, processor);
            }
        }

        TestContext.Out.WriteLine($"{compared} opcodes");
        Assert.That(mismatches.Text, Is.Empty);
        Assert.That(compared, Is.GreaterThan(LeastCodes));
    }

    [Test]
    public void AnOpcodeOnADeviceReadsAndWritesTheBytesOfItsOperands()
    {
        using EmulatedCodes codes = new();
        InstructionInfoFactory factory = new();
        Mismatches mismatches = new();
        int compared = 0;
        foreach ((Instruction instruction, byte[] bytes) in EmulatedCodes.All)
        {
            codes.Choose(instruction, bytes, new OperandSource(3));
            codes.Prepare(onDevice: true);
            string expected = Expect(codes, factory, instruction, out bool isKnown);
            Run run = Emulate(codes, onDevice: true);
            if (run.Exit != BlockExit.Branch || !isKnown)
            {
                continue;
            }

            compared++;
            string actual = Touched(run.Log);
            if (actual != expected)
            {
                mismatches.Add($"{instruction}: {actual}, expected {expected}");
            }
        }

        TestContext.Out.WriteLine($"{compared} opcodes");
        Assert.That(mismatches.Text, Is.Empty);
        Assert.That(compared, Is.GreaterThan(LeastCodes));
    }

    [Test]
    public void AnOpcodeThatFailedOnTheWayBeginsAgainAsIfNothingHadBeen()
    {
        using EmulatedCodes codes = new();
        Mismatches mismatches = new();
        int failures = 0;
        foreach ((Instruction instruction, byte[] bytes) in EmulatedCodes.All)
        {
            codes.Choose(instruction, bytes, new OperandSource(5));
            codes.Prepare(onDevice: false);
            byte[] before = codes.State();
            foreach (bool onDevice in (bool[])[false, true])
            {
                Run whole = Emulate(codes, onDevice);
                if (IsUndefined(whole))
                {
                    break;
                }

                for (int call = 1; ; call++)
                {
                    codes.Prepare(onDevice);
                    codes.Path.FailingCall = call;
                    bool logs = true;
                    Run first = Finish(codes, Complete(codes), onDevice);
                    if (!codes.Path.HasFailed)
                    {
                        break;
                    }

                    failures++;
                    if (first.Exit is BlockExit.Fault or BlockExit.Refused)
                    {
                        if (!first.State.AsSpan().SequenceEqual(before) && !HasProgress(instruction))
                        {
                            mismatches.Add($"{instruction}: call {call}, {first.Exit} {first.Fault?.Name}: registers have changed");
                        }

                        // What the guest handles and returns from is another try for devices too, from the last element on.
                        logs = first.Exit == BlockExit.Refused || !HasProgress(instruction);
                        if (first.Exit == BlockExit.Fault)
                        {
                            codes.Guest.Device.ClearLog();
                        }

                        first = Finish(codes, Complete(codes), onDevice);
                    }

                    Compare(mismatches, instruction, $"call {call} failed, {(onDevice ? "on a device" : "in RAM")}", first, whole, logs);
                }
            }
        }

        TestContext.Out.WriteLine($"{failures} failures");
        Assert.That(mismatches.Text, Is.Empty);
        Assert.That(failures, Is.GreaterThan(10 * LeastCodes));
    }

    [Test]
    public void AnOpcodeWaitsForADeviceAndRepeatsNothing([Values(MmioOutcome.Retry, MmioOutcome.Failed)] MmioOutcome answer)
    {
        BlockExit waiting = answer == MmioOutcome.Retry ? BlockExit.Retry : BlockExit.Refused;
        using EmulatedCodes codes = new();
        Mismatches mismatches = new();
        int waits = 0;
        foreach ((Instruction instruction, byte[] bytes) in EmulatedCodes.All)
        {
            codes.Choose(instruction, bytes, new OperandSource(7));
            codes.Prepare(onDevice: true);
            byte[] before = codes.State();
            Run whole = Emulate(codes, onDevice: true);
            if (IsUndefined(whole) || codes.Guest.Device.Asked == 0)
            {
                continue;
            }

            // Every access is refused twice.
            codes.Prepare(onDevice: true);
            codes.Guest.Device.Answer = number => number % 3 == 2 ? MmioOutcome.Done : answer;
            Run run = Finish(codes, Complete(codes), onDevice: true);
            for (; run.Exit == waiting; waits++)
            {
                if (!run.State.AsSpan().SequenceEqual(before) && !HasProgress(instruction))
                {
                    mismatches.Add($"{instruction}: registers have changed");
                }

                run = Finish(codes, Complete(codes), onDevice: true);
            }

            Compare(mismatches, instruction, "each access refused twice", run, whole, logs: true);
        }

        TestContext.Out.WriteLine($"{waits} waits");
        Assert.That(mismatches.Text, Is.Empty);
        Assert.That(waits, Is.GreaterThan(2 * LeastCodes));
    }

    private static Run Emulate(EmulatedCodes codes, bool onDevice)
    {
        codes.Prepare(onDevice);
        return Finish(codes, Complete(codes), onDevice);
    }

    /// <summary>Emulates the instruction, all elements of it.</summary>
    private static BlockExit Complete(EmulatedCodes codes)
    {
        BlockExit exit;
        do
        {
            exit = codes.Guest.Emulate();
        }
        while (exit == BlockExit.Repeat);
        return exit;
    }

    /// <summary>What the processor does of it, all elements.</summary>
    private static BlockExit RunOnProcessor(EmulatedCodes codes)
    {
        BlockExit exit;
        do
        {
            exit = codes.Guest.Paged.RunBlock(1, BlockMode.Single);
        }
        while (exit == BlockExit.Repeat);
        return exit;
    }

    /// <summary>Whether an instruction that does not finish keeps what it did: the elements of gathers and of repeated string instructions.</summary>
    private static bool HasProgress(in Instruction instruction) =>
        instruction.IsVsib || (instruction.IsStringInstruction && (instruction.HasRepPrefix || instruction.HasRepnePrefix));

    private static Run Finish(EmulatedCodes codes, BlockExit exit, bool onDevice) => new(
        exit, codes.State(), (onDevice ? codes.OnDevice : codes.Ram).ToArray(), exit == BlockExit.Fault ? codes.Guest.Cpu.PendingFault : null, codes.Guest.Device.Log);

    private static bool IsUndefined(Run run) =>
        run.Exit == BlockExit.Stop || run.Fault is { Vector: ExceptionVector.InvalidOpcode };

    private static void Compare(Mismatches mismatches, in Instruction instruction, string where, Run actual, Run expected, bool logs = false)
    {
        string? difference = actual.Exit != expected.Exit ? $"{actual.Exit} {actual.Fault?.Name}, expected {expected.Exit} {expected.Fault?.Name}"
            : actual.Fault != expected.Fault ? $"{actual.Fault}, expected {expected.Fault}"
            : !actual.State.AsSpan().SequenceEqual(expected.State) ? $"the state differs from byte {actual.State.AsSpan().CommonPrefixLength(expected.State)} on"
            : !actual.Memory.AsSpan().SequenceEqual(expected.Memory) ? $"memory differs from byte {actual.Memory.AsSpan().CommonPrefixLength(expected.Memory):x} on"
            : logs && actual.Log != expected.Log ? $"{actual.Log}, expected {expected.Log}"
            : null;
        if (difference is not null)
        {
            mismatches.Add($"{instruction} {where}: {difference}");
        }
    }

    /// <summary>What a log says of bytes: reads first, each access once.</summary>
    private static string Touched(string log) => string.Join(' ', log.Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Select(access => access[..access.IndexOf('=', StringComparison.Ordinal)]).Order(StringComparer.Ordinal));

    /// <summary>The accesses by Iced's description; not known where bytes that are conditional, or of no certain size, are among them.</summary>
    private static string Expect(EmulatedCodes codes, InstructionInfoFactory factory, in Instruction instruction, out bool isKnown)
    {
        CpuState state = codes.Guest.State;
        ulong ReadRegister(Register register, int element, int size) =>
            register == Register.AL ? (byte)state.Gpr[0] : register.IsGPR64() ? state.Gpr[register - Register.RAX] : register.IsGPR32() ? (uint)state.Gpr[register - Register.EAX] : 0;
        List<string> accesses = [];
        isKnown = !OtherBytes.Contains(instruction.Mnemonic) && !HasProgress(instruction);
        foreach (UsedMemory memory in factory.GetInfo(instruction).GetUsedMemory())
        {
            int size = memory.MemorySize.GetSize();
            isKnown &= size != 0 && memory.Access is OpAccess.Read or OpAccess.Write or OpAccess.ReadWrite;
            ulong address = memory.GetVirtualAddress(0, ReadRegister) - EmulatedCodes.Data;
            if (memory.Access is OpAccess.Read or OpAccess.ReadWrite)
            {
                accesses.Add($"r{size}@{address:x}");
            }

            if (memory.Access is OpAccess.Write or OpAccess.ReadWrite)
            {
                accesses.Add($"w{size}@{address:x}");
            }
        }

        return string.Join(' ', accesses.Order(StringComparer.Ordinal));
    }
}
