using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>LOCK where it is not allowed raises #UD and says that LOCK is why; bytes that are no instruction say so with LOCK too.</summary>
[TestFixture]
public sealed class ForbiddenLockTests
{
    [TestCase("F0 89 C0", FaultRule.LockNotAllowed, TestName = "lock mov eax, eax")]
    [TestCase("F0 01 C0", FaultRule.LockNotAllowed, TestName = "lock add eax, eax")]
    [TestCase("F0 8B 03", FaultRule.LockNotAllowed, TestName = "lock mov eax, [rbx]")]
    [TestCase("F0 39 03", FaultRule.LockNotAllowed, TestName = "lock cmp [rbx], eax")]
    [TestCase("F0 90", FaultRule.LockNotAllowed, TestName = "lock nop")]
    [TestCase("F0 06", FaultRule.UndefinedOpcode, TestName = "lock push es, which 64-bit mode does not have")]
    [TestCase("06", FaultRule.UndefinedOpcode, TestName = "push es, which 64-bit mode does not have")]
    public void RaisesUndefinedOpcodeWithItsCause(string bytes, FaultRule rule)
    {
        using TestMachine machine = new();
        machine.Machine.WriteMemory(new(TestMachine.KernelCode), Convert.FromHexString(bytes.Replace(" ", "", StringComparison.Ordinal)));
        machine.State.Rip = TestMachine.KernelCode;
        machine.Machine.Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo((int)ExceptionVector.InvalidOpcode));
            Assert.That(machine.Cpu.PendingFault.Cause.Rule, Is.EqualTo(rule));
        }
    }
}
