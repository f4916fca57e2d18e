using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Every form with an operand in memory against the host's processor, through the emulator: with the operand in RAM behind page tables
/// and with it on a device.
/// </summary>
[TestFixture]
public sealed class EmulatedFormsTests
{
    private const int StatesPerForm = 3;
    private const int Page = 0x1000;
    private const ulong FirstFrame = 0x10_0000;

    private static IEnumerable<InstructionFamily> Families =>
        InstructionFamilies.All.Where(family => family.Name is not ("flags" or "sign extension"))
            .Concat(InstructionFamilies.BitManipulation).Concat(InstructionFamilies.Vex);

    [Test]
    public void FormsDoWhatTheHostProcessorDoes(
        [ValueSource(nameof(Families))] InstructionFamily family, [Values] bool onDevice)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using EmulatedGuest guest = new();
        guest.Paged.EnableAvx();
        guest.Device.IsLogging = false;
        Map(guest, host, onDevice);
        FormStates states = new(host, new OperandSource(31));
        FormOptions options = new(StackPointer: true, AbsoluteAddress: host.ScratchAddress + 0x100);
        Mismatches mismatches = new();
        byte[] memory = new byte[HostProcessor.ScratchSize];
        int forms = 0, compared = 0;
        foreach (InstructionForm form in Sample(family, InstructionForms.Of(family, options).Where(form => TouchesMemory(form.Instruction))))
        {
            forms++;
            guest.Place(form.Bytes);
            for (int i = 0; i < StatesPerForm && states.TryNext(form, out HostState before); i++)
            {
                HostState moved = before;
                before = i == 1 && InstructionFamilies.MayBeUnaligned(form.Instruction) && Straddle.TryMove(host, form, before: 1, ref moved) ? moved : before;
                Copy(guest, onDevice, host.Scratch, toGuest: true);
                HostState expected = HostRun.Run(host, form, before), actual = before;
                GuestRegisters.Set(guest.Cpu, before);
                BlockExit exit = guest.Emulate();
                GuestRegisters.Get(guest.Cpu, ref actual);
                if (exit != BlockExit.Branch || guest.State.Rip != EmulatedGuest.Code + (ulong)form.Bytes.Length)
                {
                    mismatches.Add($"{form.Instruction}: {exit}: {guest.Fault}");
                    continue;
                }

                Copy(guest, onDevice, memory, toGuest: false);
                mismatches.Compare(form, before, expected, actual, host.Scratch, memory);
                if (InstructionFamilies.IsVector(family) && StateDifference.Of(before, actual, expected, InstructionFamilies.IsApproximate(form.Instruction)) is string difference)
                {
                    mismatches.Add($"{form.Instruction}: {difference}");
                }

                compared++;
            }
        }

        TestContext.Out.WriteLine($"{forms} forms, {compared} states");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches.Text, Is.Empty);
            Assert.That(compared, Is.GreaterThanOrEqualTo(forms * 2));
            Assert.That(forms, Is.Positive);
        }
    }

    /// <summary>All forms, but of the many that VEX gives one in six for each opcode, which leaves every shape of address.</summary>
    private static IEnumerable<InstructionForm> Sample(InstructionFamily family, IEnumerable<InstructionForm> forms) => InstructionFamilies.Vex.Contains(family)
        ? forms.GroupBy(form => form.Instruction.Code).SelectMany(group => group.Where((_, i) => i % 6 == 0))
        : forms;

    /// <summary>Whether an instruction has an operand in memory, or the stack.</summary>
    internal static bool TouchesMemory(in Instruction instruction)
    {
        bool touches = instruction.IsStackInstruction;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            touches |= instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI);
        }

        return touches;
    }

    /// <summary>Scratch pages lie apart and in reverse order.</summary>
    private static int Place(int page) => (HostProcessor.ScratchSize / Page - 1 - page) * 2 * Page;

    /// <summary>Maps the oracle's scratch memory to RAM or to the device.</summary>
    internal static void Map(EmulatedGuest guest, HostProcessor host, bool onDevice)
    {
        for (int page = 0; page < HostProcessor.ScratchSize / Page; page++)
        {
            guest.Paged.Map(host.ScratchAddress + (ulong)(page * Page), (onDevice ? EmulatedGuest.DeviceGpa : FirstFrame) + (ulong)Place(page));
        }
    }

    /// <summary>Copies the oracle's scratch memory, or what became of it.</summary>
    internal static void Copy(EmulatedGuest guest, bool onDevice, Span<byte> memory, bool toGuest)
    {
        for (int page = 0; page < HostProcessor.ScratchSize / Page; page++)
        {
            Span<byte> here = memory.Slice(page * Page, Page);
            Span<byte> there = onDevice ? guest.Device.Bytes.AsSpan(Place(page), Page) : guest.Paged.Ram(FirstFrame + (ulong)Place(page), Page);
            (toGuest ? here : there).CopyTo(toGuest ? there : here);
        }
    }
}
