using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Every form against the host's processor, decoded into blocks and reaching memory through page walks and the TLB: cold, warm,
/// and with operands that cross into a page whose frame lies elsewhere.
/// </summary>
[TestFixture]
public sealed class PagedFormsTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const byte Hlt = 0xF4;

    [TestCaseSource(typeof(InstructionFamilies), nameof(InstructionFamilies.All))]
    public void FormsDoTheSameThroughPageTables(InstructionFamily family)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        PagedMemory memory = new(guest, host);
        FormStates states = new(host, new OperandSource(29));
        FormOptions options = new(StackPointer: true, AbsoluteAddress: host.ScratchAddress + 0x100);
        Mismatches mismatches = new();
        byte[] actualMemory = new byte[HostProcessor.ScratchSize];
        int compared = 0, straddled = 0;
        foreach (InstructionForm form in InstructionForms.Of(family, options))
        {
            guest.Machine.WriteMemory(new(CodeFrame), [.. form.Bytes, Hlt]);
            for (int i = 0; i < 6 && states.TryNext(form, out HostState before); i++)
            {
                if (i >= 2 && InstructionFamilies.MayBeUnaligned(form.Instruction))
                {
                    HostState moved = before;
                    bool straddles = Straddle.TryMove(host, form, before: i - 1 + (i / 4 * 2), ref moved);
                    before = straddles ? moved : before;
                    straddled += straddles ? 1 : 0;
                }

                if ((i & 1) == 0)
                {
                    guest.Cpu.FlushTlb();
                }

                memory.Fill();
                HostState expected = HostRun.Run(host, form, before), actual = before;
                GuestRegisters.Set(guest.Cpu, before);
                guest.Start(CodeAddress);
                BlockExit exit = guest.RunBlock();
                GuestRegisters.Get(guest.Cpu, ref actual);
                if (exit != BlockExit.Halt || guest.Retired != 2)
                {
                    mismatches.Add($"{form.Instruction}: {exit} after {guest.Retired}: {guest.Cpu.PendingFault}");
                    continue;
                }

                memory.CopyTo(actualMemory);
                mismatches.Compare(form, before, expected, actual, host.Scratch, actualMemory);
                if (InstructionFamilies.IsVector(family) && StateDifference.Of(before, actual, expected, InstructionFamilies.IsApproximate(form.Instruction)) is string difference)
                {
                    mismatches.Add($"{form.Instruction}: {difference}");
                }

                compared++;
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(mismatches.Text, Is.Empty);
            Assert.That(compared, Is.GreaterThan(6));
            Assert.That(straddled, family.Name is "set" or "flags" or "sign extension" or "divide" or "ssse3" or "aes" or "pclmulqdq" or "sha" ? Is.Zero : Is.GreaterThan(6));
        }
    }
}
