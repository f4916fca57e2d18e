using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>SDM Vol. 3A, table 7-1: of each vector its class, whether it has an error code, and which RIP it saves.</summary>
[TestFixture]
internal sealed class VectorTests
{
    /// <summary>A way to raise each exception that 64-bit mode has a source of, with the rows of the table.</summary>
    private static IEnumerable<TestCaseData> Rows()
    {
        yield return Row(0, Saved.Instruction, null, "#DE", c => c.div(__qword_ptr[TestMachine.Data]));
        yield return Row(1, Saved.Next, null, "#DB, single step", c => c.nop(), m => m.Cpu.Rflags |= Rflags.TF);
        yield return Row(1, Saved.Instruction, null, "#DB, instruction breakpoint", c => c.nop(), m => (m.State.Dr[0], m.State.Dr[7]) = (TestMachine.KernelCode, 1));
        yield return Row(1, Saved.Next, null, "#DB, data breakpoint", c => c.mov(__[TestMachine.Data], al), m => (m.State.Dr[0], m.State.Dr[7]) = (TestMachine.Data, 1 | (1 << 16)));
        yield return Row(1, Saved.Instruction, null, "#DB, general detect", c => c.mov(rax, dr0), m => m.State.Dr[7] = Dr7.GD);
        yield return Row(1, Saved.Next, null, "INT1", c => c.int1());
        yield return Row(2, Saved.Instruction, null, "NMI", c => c.nop(), m => m.Cpu.RaiseNmi());
        yield return Row(3, Saved.Next, null, "#BP", c => c.int3());
        yield return Row(6, Saved.Instruction, null, "#UD", c => c.ud2());
        yield return Row(7, Saved.Instruction, null, "#NM", c => c.movaps(xmm0, xmm1), m => m.State.Cr0 |= Cr0.TS);
        yield return Row(8, Saved.Instruction, 0, "#DF", c => c.mov(al, __[TestMachine.Mapped]), m => m.SetGate(14, selector: TestMachine.FreeSelector));
        yield return Row(10, Saved.Instruction, TestMachine.TssSelector | 1u, "#TS", c => c.ud2(), m =>
        {
            m.SetGate(6, ist: 7);
            m.State.Tr.Limit = 40;
        });
        yield return Row(11, Saved.Instruction, TestMachine.FreeSelector, "#NP", c => LoadDs(c), m => m.SetDescriptor(TestMachine.FreeSelector, TestMachine.Data32 & ~(1ul << 47)));
        yield return Row(12, Saved.Instruction, 0, "#SS", c => c.push(rax), m => m.State.Gpr[GeneralRegister.Rsp] = TestMachine.NonCanonical + 64, ist: true);
        yield return Row(13, Saved.Instruction, 0, "#GP", c => c.mov(rax, __[rbx]), m => m.State.Gpr[GeneralRegister.Rbx] = TestMachine.NonCanonical);
        yield return Row(14, Saved.Instruction, 2, "#PF", c => c.mov(__[TestMachine.Mapped], al));
        yield return Row(17, Saved.Instruction, 0, "#AC", c => c.mov(rax, __[rbx]), m =>
        {
            m.State.Cr0 |= Cr0.AM;
            m.Cpu.Rflags |= Rflags.AC;
            m.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData + 1;
        }, ring: 3);
        yield return Row(19, Saved.Instruction, null, "#XM", c => c.divss(xmm0, xmm1), m => m.State.Mxcsr &= ~0x80u);
        for (int vector = 0; vector < 256; vector++)
        {
            int n = vector;
            yield return Row(n, Saved.Next, null, $"INT {n}", c => c.@int((byte)n));
        }

        static TestCaseData Row(int vector, Saved saved, uint? code, string name, Action<Assembler> raise, Action<TestMachine>? prepare = null, bool ist = false, int ring = 0) =>
            new TestCaseData(vector, saved, code, raise, prepare, ist, ring).SetArgDisplayNames(name);
    }

    public enum Saved
    {
        Instruction,
        Next,
    }

    [TestCaseSource(nameof(Rows))]
    public void VectorErrorCodeAndSavedRip(int vector, Saved saved, uint? code, Action<Assembler> raise, Action<TestMachine>? prepare, bool ist, int ring)
    {
        using TestMachine machine = new();
        machine.SetGate(vector, dpl: 3, ist: ist ? 1 : 0);
        prepare?.Invoke(machine);
        machine.Cpu.FlushTlb();
        ulong start = ring == 3 ? TestMachine.UserCode : TestMachine.KernelCode;
        _ = ring == 3 ? machine.User(raise) : machine.Kernel(raise);

        ulong[] starts = EventLog.Starts(raise, start);
        ExceptionFrameWords frame = machine.Frame(code is not null);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(vector));
            Assert.That(frame.ErrorCode, Is.EqualTo((ulong?)code));
            Assert.That(frame.Rip, Is.EqualTo(saved == Saved.Next ? starts[^1] : starts[^2]));
            Assert.That(frame.Cs, Is.EqualTo(ring == 3 ? TestMachine.UserCs : TestMachine.KernelCs));
        }
    }

    private static void LoadDs(Assembler c)
    {
        c.mov(eax, TestMachine.FreeSelector);
        c.mov(ds, eax);
    }
}
