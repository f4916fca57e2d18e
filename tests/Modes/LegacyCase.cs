using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>An exception as a test expects it: its vector, and its error code where it pushes one.</summary>
internal readonly record struct Expected(int Vector, uint? Error = null)
{
    public static Expected Gp(int error = 0) => new(13, (uint)error);

    public static Expected Ss(int error = 0) => new(12, (uint)error);

    public static Expected Np(int error) => new(11, (uint)error);

    public static Expected Ts(int error) => new(10, (uint)error);

    public static Expected Ud => new(6);

    /// <summary>The error code that names a gate of the IDT.</summary>
    public static int OfVector(int vector) => (vector * 8) + 2;
}

/// <summary>Code in a mode, and what becomes of it.</summary>
/// <param name="Name">What the case shows.</param>
/// <param name="Mode">The mode.</param>
/// <param name="Code">The code; where it raises an exception its last instruction does.</param>
/// <param name="Fault">The exception; without one the code runs to its end.</param>
/// <param name="Cpl">The ring.</param>
/// <param name="Arrange">What is done to the machine first.</param>
/// <param name="Check">What is looked at in the end.</param>
internal sealed record LegacyCase(
    string Name, LegacyMode Mode, Action<Assembler> Code, Expected? Fault = null, int Cpl = 0, Action<LegacyMachine>? Arrange = null, Action<LegacyMachine>? Check = null)
{
    /// <summary>The ring in which the code ends, where that is another than <see cref="Cpl"/>.</summary>
    public int? Ends { get; init; }

    /// <summary>Whether the exception is a trap: it leaves the instruction pointer after the last instruction.</summary>
    public bool IsTrap { get; init; }

    /// <summary>The instruction pointer that the handler finds, where it is neither the last instruction nor what follows.</summary>
    public uint? At { get; init; }

    public override string ToString() => $"{Mode} CPL {Cpl}: {Name}";

    /// <summary>Runs it, in real-address mode without looking for an error code, which is not pushed there.</summary>
    public void Run()
    {
        using LegacyMachine machine = new(Mode, Cpl);
        Arrange?.Invoke(machine);
        StopReport report = machine.Run(Code);
        Assert.That(report.Reason, Is.EqualTo((machine.Cpu.Rflags & Rflags.IF) == 0 ? StopReason.Halted : StopReason.Asleep), report.ToString());
        int? end = (Ends ?? machine.Cpl) == 0 ? null : 0x80;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(Fault is Expected fault ? fault.Vector : end), $"vector; {machine.Cpu.PendingFault}");
            if (Fault is Expected expected && machine.Handled == expected.Vector)
            {
                bool pushed = expected.Error is not null && Mode != LegacyMode.Real;
                if (pushed)
                {
                    Assert.That(machine.Frame(0), Is.EqualTo(expected.Error), $"error code; {machine.Cpu.PendingFault}");
                }

                Assert.That(machine.Frame(pushed ? 1 : 0), Is.EqualTo(At ?? (IsTrap ? machine.EndOfCode : machine.LastInstruction)), "instruction pointer");
            }

            Check?.Invoke(machine);
        }
    }
}
