using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Every x87 form with an operand in memory against the host's processor, through the emulator: in RAM and on a device, within a page
/// and across two.
/// </summary>
[TestFixture]
public sealed class EmulatedX87Tests
{
    private const int StatesPerForm = 6;
    private const int Forms = 300;

    [Test]
    public void FormsDoWhatTheHostProcessorDoes([Values] bool onDevice)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using EmulatedGuest guest = new();
        guest.Device.IsLogging = false;
        EmulatedFormsTests.Map(guest, host, onDevice);
        X87States states = new(host, new OperandSource(37));
        Mismatches mismatches = new();
        byte[] memory = new byte[HostProcessor.ScratchSize];
        int forms = 0;
        foreach (InstructionForm form in InstructionForms.Of(InstructionFamilies.X87, new FormOptions()).Where(IsThere))
        {
            forms++;
            guest.Place(form.Bytes);
            for (int i = 0; i < StatesPerForm; i++)
            {
                HostState start = states.Next(form, before: i & 1);
                EmulatedFormsTests.Copy(guest, onDevice, host.Scratch, toGuest: true);
                HostState ours = start, theirs = start;
                host.Run(form.Bytes, ref theirs);
                GuestRegisters.Set(guest.Cpu, start);
                guest.State.X87.InstructionSelector = guest.State.X87.DataSelector = 0;
                BlockExit exit = guest.Emulate();
                GuestRegisters.Get(guest.Cpu, ref ours);
                EmulatedFormsTests.Copy(guest, onDevice, memory, toGuest: false);
                string? difference = exit != BlockExit.Branch ? $"{exit}: {guest.Fault}"
                    : X87Difference.Of(form.Instruction.Mnemonic, start, ref ours, theirs)
                    ?? (host.Scratch.SequenceEqual(memory) ? null : "memory differs");
                if (difference is not null)
                {
                    mismatches.Add($"{form.Instruction}: {difference}");
                }
            }
        }

        Assert.That(mismatches.Text, Is.Empty);
        Assert.That(forms, Is.GreaterThan(Forms));
    }

    /// <summary>FISTTP comes with SSE3.</summary>
    private static bool IsThere(InstructionForm form) =>
        EmulatedFormsTests.TouchesMemory(form.Instruction) && new CpuFeatures().Gate.Allows(form.Instruction.Code);
}
