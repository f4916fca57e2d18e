using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Repeated string instructions: restart after faults, overlap, direction, address size and long counts.</summary>
[TestFixture]
public sealed class StringTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong Data = 0x50_0000;
    private const ulong DataFrame = 0x10_0000;
    private const int DataBytes = 0x4000;
    private const ulong Large = 0x60_0000;
    private const ulong LargeFrame = 0x28_0000;
    private const byte Hlt = 0xF4;

    private static readonly (string Name, byte[] Bytes, int Size)[] Repeated =
    [
        ("rep movsb", [0xF3, 0xA4], 1), ("rep movsw", [0x66, 0xF3, 0xA5], 2), ("rep movsd", [0xF3, 0xA5], 4), ("rep movsq", [0xF3, 0x48, 0xA5], 8),
        ("rep stosb", [0xF3, 0xAA], 1), ("rep stosq", [0xF3, 0x48, 0xAB], 8), ("rep lodsw", [0x66, 0xF3, 0xAD], 2), ("repe cmpsd", [0xF3, 0xA7], 4),
        ("repne scasb", [0xF2, 0xAE], 1), ("addr32 rep movsd", [0x67, 0xF3, 0xA5], 4), ("repne movsb", [0xF2, 0xA4], 1),
    ];

    private static IEnumerable<TestCaseData> Instructions() =>
        Repeated.Select(instruction => new TestCaseData(instruction.Bytes, instruction.Size).SetArgDisplayNames(instruction.Name));

    [TestCaseSource(nameof(Instructions))]
    public void AFaultAtAnyIterationIsRestartedWhereItWas(byte[] bytes, int size)
    {
        const int Count = 23;
        using PagedGuest guest = Make(bytes);
        bool pattern = bytes[^1] != 0xA7;
        int faults = 0;
        foreach (bool down in (bool[])[false, true])
        {
            for (int into = 0; into < Count * size; into++)
            {
                foreach (bool source in (bool[])[false, true])
                {
                    HostState before = State(down, Count);
                    ref ulong crossing = ref before.Gpr[source ? 6 : 7];
                    ulong page = Data + (source ? 0x1000ul : 0x3000ul);
                    crossing = down ? page + (ulong)into : page - (ulong)into;
                    ulong missing = down ? page - 0x1000 : page;
                    string expected = RunWhole(guest, before, pattern, out byte[] whole);
                    faults += RunInterrupted(guest, before, pattern, missing, size) ? 1 : 0;
                    Assert.That(GuestSnapshot.Of(guest), Is.EqualTo(expected), $"{into} bytes into the page, down {down}, source {source}");
                    Assert.That(guest.Ram(DataFrame, DataBytes).SequenceEqual(whole), $"{into} bytes into the page, down {down}, source {source}");
                }
            }
        }

        Assert.That(faults, Is.GreaterThan(Count));
    }

    [Test]
    public void OverlappingMovesGoElementByElement([Values(1, 2, 4, 8)] int size, [Values] bool down)
    {
        byte[] bytes = size switch { 1 => [0xF3, 0xA4], 2 => [0x66, 0xF3, 0xA5], 4 => [0xF3, 0xA5], _ => [0xF3, 0x48, 0xA5] };
        using PagedGuest guest = Make(bytes);
        for (int distance = -70; distance <= 70; distance++)
        {
            HostState state = State(down, 29);
            state.Gpr[6] = Data + 0x800;
            state.Gpr[7] = Data + 0x800 + (ulong)distance;
            Fill(guest);
            byte[] expected = guest.Ram(DataFrame, DataBytes).ToArray();
            for (int i = 0; i < 29; i++)
            {
                int at = 0x800 + (down ? -i : i) * size;
                expected.AsSpan(at, size).ToArray().CopyTo(expected, at + distance);
            }

            for (int warm = 0; warm < 2; warm++)
            {
                Fill(guest);
                Start(guest, state);
                Assert.That(guest.RunBlock(), Is.EqualTo(BlockExit.Halt));
                Assert.That(guest.Ram(DataFrame, DataBytes).SequenceEqual(expected), $"distance {distance}, warm {warm}");
            }
        }
    }

    [TestCase(65_535, 2ul)]
    [TestCase(65_536, 2ul)]
    [TestCase(65_537, 3ul)]
    [TestCase(200_000, 5ul)]
    public void LongCountsGiveWayAndFinish(int count, ulong instructions)
    {
        using PagedGuest guest = Make([0xF3, 0xAA]);
        guest.Map(Large, LargeFrame, length: 0x4_0000);
        guest.Ram(LargeFrame, 0x4_0000).Clear();
        HostState state = State(down: false, (ulong)count);
        state.Gpr[7] = Large;
        state.Gpr[0] = 0xA5;
        Start(guest, state);
        StopReport report = guest.Machine.Run();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.Asleep));
            Assert.That(guest.Cpu.Counters.Instructions, Is.EqualTo(instructions));
            Assert.That(guest.Cpu.State.Gpr[GeneralRegister.Rcx], Is.Zero);
            Assert.That(guest.Cpu.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(Large + (ulong)count));
            Assert.That(guest.Ram(LargeFrame, count).IndexOfAnyExcept((byte)0xA5), Is.EqualTo(-1));
            Assert.That(guest.Ram(LargeFrame + (ulong)count, 8).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
        }
    }

    [TestCase(0xF3, 0xA4)]
    [TestCase(0xF3, 0xAE)]
    [TestCase(0xF2, 0xA6)]
    public void ACountOfZeroTouchesNothing(byte prefix, byte opcode)
    {
        using PagedGuest guest = Make([prefix, opcode]);
        HostState before = State(down: false, 0), after = before;
        before.Gpr[6] = after.Gpr[6] = before.Gpr[7] = after.Gpr[7] = 0xDEAD_0000_0000_0000;
        Start(guest, before);
        Assert.That(guest.RunBlock(), Is.EqualTo(BlockExit.Halt));
        GuestRegisters.Get(guest.Cpu, ref after);
        Assert.That(GuestRegisters.Same(after, before));
    }

    private static PagedGuest Make(byte[] bytes)
    {
        PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        guest.Map(Data, DataFrame, length: DataBytes);
        guest.Machine.WriteMemory(new(CodeFrame), [.. bytes, Hlt]);
        return guest;
    }

    private static HostState State(bool down, ulong count)
    {
        HostState state = new() { Rflags = Rflags.Fixed | (down ? Rflags.DF : 0) };
        state.Gpr[0] = 0x8877_6655_4433_2211;
        state.Gpr[1] = count;
        state.Gpr[6] = Data + 0x800;
        state.Gpr[7] = Data + 0x2800;
        return state;
    }

    /// <summary>A pattern that moves show, or one byte everywhere, so that comparisons go on.</summary>
    private static void Fill(PagedGuest guest, bool pattern = true)
    {
        Span<byte> data = guest.Ram(DataFrame, DataBytes);
        for (int i = 0; i < data.Length; i++)
        {
            data[i] = (byte)(pattern ? i * 7 : 7);
        }
    }

    private static void Start(PagedGuest guest, in HostState state)
    {
        GuestRegisters.Set(guest.Cpu, state);
        guest.Start(CodeAddress);
    }

    private static string RunWhole(PagedGuest guest, in HostState state, bool pattern, out byte[] memory)
    {
        Fill(guest, pattern);
        Start(guest, state);
        Assert.That(guest.RunBlock(), Is.EqualTo(BlockExit.Halt));
        memory = guest.Ram(DataFrame, DataBytes).ToArray();
        return GuestSnapshot.Of(guest);
    }

    private static bool RunInterrupted(PagedGuest guest, in HostState state, bool pattern, ulong missing, int size)
    {
        Fill(guest, pattern);
        guest.Unmap(missing);
        guest.Cpu.FlushTlb();
        Start(guest, state);
        BlockExit exit = guest.RunBlock();
        if (exit == BlockExit.Fault)
        {
            ulong done = state.Gpr[1] - guest.Cpu.State.Gpr[GeneralRegister.Rcx];
            ulong moved = Math.Max(Distance(guest.Cpu.State.Gpr[GeneralRegister.Rsi], state.Gpr[6]), Distance(guest.Cpu.State.Gpr[GeneralRegister.Rdi], state.Gpr[7]));
            Assert.That(moved, Is.EqualTo(done * (ulong)size));
            Assert.That(guest.Cpu.State.Rip, Is.EqualTo(CodeAddress));
            Assert.That(guest.Cpu.PendingFault.Address.Value & ~0xFFFul, Is.EqualTo(missing));
        }

        guest.Map(missing, DataFrame + (missing - Data));
        guest.Cpu.FlushTlbPage(new(missing));
        return exit == BlockExit.Fault && guest.RunBlock() == BlockExit.Halt;
    }

    private static ulong Distance(ulong a, ulong b) => a > b ? a - b : b - a;
}
