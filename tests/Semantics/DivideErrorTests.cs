using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>#DE of DIV and IDIV by RCX or a part of it, and the quotients next to it that still fit (SDM Vol. 2A, "DIV" and "IDIV").</summary>
[TestFixture]
public sealed class DivideErrorTests
{
    private const ulong Min64 = 1ul << 63;

    [TestCase("F6F1", 0x1234ul, 0ul, 0ul)]
    [TestCase("66F7F1", 0x1234ul, 0ul, 0ul)]
    [TestCase("F7F1", 0x1234ul, 0ul, 0xFFFF_FFFF_0000_0000ul)]
    [TestCase("48F7F1", 0x1234ul, 0ul, 0ul)]
    [TestCase("F6F9", 0x1234ul, 0ul, 0xFF00ul)]
    [TestCase("66F7F9", 0x1234ul, 0ul, 0ul)]
    [TestCase("F7F9", 0x1234ul, 0ul, 0ul)]
    [TestCase("48F7F9", 0x1234ul, 0ul, 0ul)]
    [TestCase("F6F1", 0x0100ul, 0ul, 1ul)]
    [TestCase("66F7F1", 0ul, 1ul, 1ul)]
    [TestCase("F7F1", 0ul, 5ul, 5ul)]
    [TestCase("48F7F1", 0ul, Min64, Min64)]
    [TestCase("F6F9", 0x0080ul, 0ul, 1ul)]
    [TestCase("F6F9", 0xFF80ul, 0ul, 0xFFul)]
    [TestCase("F6F9", 0xFF7Ful, 0ul, 1ul)]
    [TestCase("66F7F9", 0x8000ul, 0ul, 1ul)]
    [TestCase("66F7F9", 0x8000ul, 0xFFFFul, 0xFFFFul)]
    [TestCase("F7F9", 0x8000_0000ul, 0xFFFF_FFFFul, 0xFFFF_FFFFul)]
    [TestCase("F7F9", 0x8000_0000ul, 0ul, 1ul)]
    [TestCase("48F7F9", Min64, ulong.MaxValue, ulong.MaxValue)]
    [TestCase("48F7F9", Min64, 0ul, 1ul)]
    [TestCase("48F7F9", 0ul, Min64, ulong.MaxValue)]
    [TestCase("48F7F9", 0ul, Min64, 1ul)]
    public void RaisesAndChangesNothing(string bytes, ulong rax, ulong rdx, ulong rcx)
    {
        using FlatProcessor processor = new();
        HostState before = State(rax, rdx, rcx), after = before;
        processor.Load(Convert.FromHexString(bytes));
        bool retired = processor.Run(ref after);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(retired, Is.False);
            Assert.That(processor.Fault.Vector, Is.EqualTo(ExceptionVector.DivideError));
            Assert.That(processor.Fault.ErrorCode, Is.Null);
            Assert.That(GuestRegisters.Same(after, before));
        }
    }

    [TestCase("F6F1", 0x00FFul, 0ul, 1ul, 0x00FFul, 0ul)]
    [TestCase("F6F9", 0xFF80ul, 0ul, 1ul, 0x0080ul, 0ul)]
    [TestCase("66F7F9", 0x8000ul, 0xFFFFul, 1ul, 0x8000ul, 0ul)]
    [TestCase("F7F9", 0x8000_0000ul, 0xFFFF_FFFFul, 1ul, 0x8000_0000ul, 0ul)]
    [TestCase("48F7F9", Min64, ulong.MaxValue, 1ul, Min64, 0ul)]
    [TestCase("48F7F9", ulong.MaxValue, 0x3FFF_FFFF_FFFF_FFFFul, Min64, 0x8000_0000_0000_0001ul, Min64 - 1)]
    [TestCase("48F7F1", ulong.MaxValue, Min64 - 1, Min64, ulong.MaxValue, Min64 - 1)]
    public void TheLastQuotientFits(string bytes, ulong rax, ulong rdx, ulong rcx, ulong quotient, ulong remainder)
    {
        using FlatProcessor processor = new();
        HostState state = State(rax, rdx, rcx);
        processor.Load(Convert.FromHexString(bytes));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(processor.Run(ref state));
            Assert.That(state.Gpr[0], Is.EqualTo(quotient));
            Assert.That(bytes.StartsWith("F6", StringComparison.Ordinal) ? state.Gpr[0] >> 8 : state.Gpr[2], Is.EqualTo(remainder));
        }
    }

    private static HostState State(ulong rax, ulong rdx, ulong rcx)
    {
        HostState state = new() { Rflags = 0x8D7 };
        state.Gpr[0] = rax;
        state.Gpr[2] = rdx;
        state.Gpr[1] = rcx;
        return state;
    }
}
