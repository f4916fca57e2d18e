using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>UD0, UD1 and UD2, which are there to raise #UD (SDM Vol. 2, "UD"), and 0F 0D with a register, a reserved NOP (Reservednop) beside PREFETCH.</summary>
[TestFixture]
public sealed class UndefinedInstructionTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;

    [TestCase(Mnemonic.Ud0, "0FFFC1")]
    [TestCase(Mnemonic.Ud0, "660FFFC1")]
    [TestCase(Mnemonic.Ud0, "480FFF03")]
    [TestCase(Mnemonic.Ud1, "0FB9C1")]
    [TestCase(Mnemonic.Ud1, "660FB9C1")]
    [TestCase(Mnemonic.Ud1, "480FB903")]
    [TestCase(Mnemonic.Ud2, "0F0B")]
    public void RaisesUndefinedOpcode(Mnemonic mnemonic, string bytes)
    {
        using PagedGuest guest = Start(mnemonic, bytes);
        BlockExit exit = guest.RunBlock(slice: 1, BlockMode.Single);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(BlockExit.Fault));
            Assert.That(guest.Cpu.PendingFault.Vector, Is.EqualTo(ExceptionVector.InvalidOpcode));
            Assert.That(guest.Cpu.PendingFault.Cause.Rule, Is.EqualTo(FaultRule.ExplicitUndefined));
            Assert.That(guest.Cpu.PendingFault.ErrorCode, Is.Null);
            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress));
        }
    }

    [TestCase("0F0DC1")]
    [TestCase("660F0DF8")]
    [TestCase("480F0DC9")]
    public void APrefetchOfARegisterIsANop(string bytes)
    {
        using PagedGuest guest = Start(Mnemonic.Reservednop, bytes);
        GuestRegisters.Set(guest.Cpu, new HostState());
        HostState before = default, after = default;
        GuestRegisters.Get(guest.Cpu, ref before);
        BlockExit exit = guest.RunBlock(slice: 1, BlockMode.Single);
        GuestRegisters.Get(guest.Cpu, ref after);
        Assert.That((exit, guest.Cpu.State.Rip, GuestRegisters.Same(before, after)), Is.EqualTo((BlockExit.Branch, CodeAddress + (ulong)(bytes.Length / 2), true)));
    }

    private static PagedGuest Start(Mnemonic mnemonic, string text)
    {
        byte[] bytes = Convert.FromHexString(text);
        Assert.That(Decoder.Create(64, bytes).Decode().Mnemonic, Is.EqualTo(mnemonic));
        PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Machine.WriteMemory(new(CodeFrame), bytes);
        guest.Start(CodeAddress);
        return guest;
    }
}
