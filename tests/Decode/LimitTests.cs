using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>A run retires exactly the instructions asked for, wherever that falls in a block, and how a run is cut up does not show.</summary>
[TestFixture]
public sealed class LimitTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong DataAddress = 0x50_0000;
    private const ulong DataFrame = 0x10_0000;
    private const int DataBytes = 0x10000;

    [TestCase(1ul)]
    [TestCase(2ul)]
    [TestCase(3ul)]
    public void EveryLimitIsMetExactly(ulong seed)
    {
        using PagedGuest guest = Make(seed);
        ulong retired = 0;
        for (ulong limit = 0; limit < 700; limit++)
        {
            Assert.That(guest.Machine.Run(limit).Reason, Is.EqualTo(StopReason.Limit));
            retired += limit;
            Assert.That(guest.Cpu.Counters.Instructions, Is.EqualTo(retired));
        }
    }

    [Test]
    public void OneByOneIsTheSameAsAtOnce([Range(1, 12)] int seed, [Values(1ul, 3ul, 64ul, 4097ul)] ulong part)
    {
        const ulong Total = 20_000;
        using PagedGuest whole = Make((ulong)seed), parts = Make((ulong)seed);
        whole.Machine.Run(Total);
        for (ulong done = 0; done < Total; done += part)
        {
            parts.Machine.Run(Math.Min(part, Total - done));
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(GuestSnapshot.Of(parts), Is.EqualTo(GuestSnapshot.Of(whole)));
            Assert.That(parts.Cpu.Counters.DataAccesses, Is.EqualTo(whole.Cpu.Counters.DataAccesses));
            Assert.That(parts.Ram(DataFrame, DataBytes).SequenceEqual(whole.Ram(DataFrame, DataBytes)));
        }
    }

    /// <summary>A handler whose first byte is not mapped, on a stack that IST sets anew each time, faults for ever.</summary>
    [TestCase(5_000ul)]
    [TestCase(1_000_000ul)]
    public void AGuestThatOnlyFaultsMeetsItsLimitToo(ulong limit)
    {
        using TestMachine machine = new();
        machine.SetGate((int)ExceptionVector.PageFault, ist: 1, target: TestMachine.Mapped + 0x1000);
        machine.State.Rip = TestMachine.Mapped;
        StopReport report = machine.Machine.Run(limit);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Reason, Is.EqualTo(StopReason.Limit));
            Assert.That(machine.Cpu.Counters.Instructions, Is.Zero);
            Assert.That(machine.Cpu.Counters.Exceptions, Is.InRange(limit, limit + 1001));
        }
    }

    private static PagedGuest Make(ulong seed)
    {
        PagedGuest guest = new();
        OperandSource source = new(seed);
        guest.Map(CodeAddress, CodeFrame, length: 0x2000);
        guest.Map(DataAddress, DataFrame, length: DataBytes);
        guest.Machine.WriteMemory(new(CodeFrame), RandomProgram.Make(source));
        HostState state = new();
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = source.NextRegister();
        }

        state.Gpr[4] = DataAddress + 0x8000;
        state.Gpr[6] = DataAddress + 0x1000 - 0x23;
        state.Gpr[7] = DataAddress + 0x2000;
        GuestRegisters.Set(guest.Cpu, state);
        guest.Start(CodeAddress);
        return guest;
    }
}
