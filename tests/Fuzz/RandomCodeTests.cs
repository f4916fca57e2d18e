using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Whatever the guest's bytes are, the host goes on and the machine makes progress.</summary>
[TestFixture]
public sealed class RandomCodeTests
{
    private const ulong Slice = 2000;

    /// <summary>Between two instructions there may be a thousand exceptions; from there on they count as instructions.</summary>
    private const ulong ExceptionsPerRun = 1001 * Slice;

    /// <summary>How long a slice may last: a repeated string instruction moves up to 65,536 elements before it counts.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The most that a handler of <see cref="HostileGuest"/> retires.</summary>
    private const ulong HandlerLength = 3;

    /// <summary>Together these retire ten million instructions and more, handlers not counted.</summary>
    [TestCase(1ul, 1_000_000ul)]
    [TestCase(2ul, 1_000_000ul)]
    public void NoiseNeverStopsTheHost(ulong seed, ulong instructions) => Run(seed, instructions, RandomInstructions.Noise);

    [TestCase(3ul, 4_000_000ul)]
    [TestCase(4ul, 4_000_000ul)]
    public void ValidInstructionsNeverStopTheHost(ulong seed, ulong instructions) =>
        Run(seed, instructions, new RandomInstructions(new FormOptions(StackPointer: true, AbsoluteAddress: 0x1000)).Valid);

    [TestCase(5ul)]
    [TestCase(6ul)]
    [Category("Full")]
    public void MoreNoise(ulong seed) => Run(seed, 20_000_000, RandomInstructions.Noise);

    [TestCase(7ul)]
    [TestCase(8ul)]
    [Category("Full")]
    public void MoreValidInstructions(ulong seed) =>
        Run(seed, 50_000_000, new RandomInstructions(new FormOptions(StackPointer: true, AbsoluteAddress: 0x1000)).Valid);

    private static void Run(ulong seed, ulong instructions, Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        using HostileGuest guest = new(seed);
        using Timer watchdog = new(_ => guest.Machine.RequestStop());
        CpuCounters counters = guest.Machine.Cpu.Counters;
        ulong random = 0;
        int confined = 0, guarded = 0;
        while (random < instructions)
        {
            guest.Reset(fillCode);
            bool checks = guest.IsConfined && confined++ % 16 == 0;
            if (checks)
            {
                guest.Guard();
                guarded++;
            }

            bool goesOn = true;
            for (int run = 0; run < 10 && goesOn; run++)
            {
                watchdog.Change(Patience, Timeout.InfiniteTimeSpan);
                random += RunSlice(guest.Machine, out goesOn);
            }

            Assert.That(!checks || guest.GuardStands(), $"confined guest {confined}: memory was written that is not mapped");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(counters.Instructions, Is.GreaterThanOrEqualTo(instructions));
            Assert.That(guarded, Is.GreaterThan(1));
        }

        TestContext.Out.WriteLine($"{counters.Instructions} instructions, {counters.Exceptions} exceptions, {guarded} of {confined} confined guests guarded");
    }

    /// <summary>Runs a little, which nothing that the guest does makes longer; answers how many instructions were not those of handlers.</summary>
    private static ulong RunSlice(Machine machine, out bool goesOn)
    {
        CpuCounters counters = machine.Cpu.Counters;
        ulong before = counters.Instructions, exceptionsBefore = counters.Exceptions;
        StopReport report = machine.Run(Slice);
        ulong retired = counters.Instructions - before;
        ulong exceptions = counters.Exceptions - exceptionsBefore;
        Assert.That(report.Reason, Is.Not.EqualTo(StopReason.Requested), "the watchdog had to end it");
        Assert.That(retired, Is.LessThanOrEqualTo(Slice));
        Assert.That(exceptions, Is.LessThanOrEqualTo(ExceptionsPerRun));
        goesOn = report.Reason == StopReason.Limit;
        return retired - Math.Min(retired, HandlerLength * exceptions);
    }
}
