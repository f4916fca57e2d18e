using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Whatever the guest's bytes are, the host goes on and the machine makes progress.</summary>
[TestFixture]
public sealed class RandomCodeTests
{
    private const ulong Slice = 2000;

    /// <summary>A guest may fault for ever without retiring anything; a request to stop must then be heard.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    [TestCase(1ul, 2_500_000ul)]
    [TestCase(2ul, 2_500_000ul)]
    public void NoiseNeverStopsTheHost(ulong seed, ulong instructions) => Run(seed, instructions, RandomInstructions.Noise);

    [TestCase(3ul, 2_500_000ul)]
    [TestCase(4ul, 2_500_000ul)]
    public void ValidInstructionsNeverStopTheHost(ulong seed, ulong instructions) =>
        Run(seed, instructions, new RandomInstructions(new FormOptions(StackPointer: true, AbsoluteAddress: 0x1000)).Valid);

    [TestCase(5ul)]
    [TestCase(6ul)]
    [Category("Full")]
    public void MoreNoise(ulong seed) => Run(seed, 100_000_000, RandomInstructions.Noise);

    [TestCase(7ul)]
    [TestCase(8ul)]
    [Category("Full")]
    public void MoreValidInstructions(ulong seed) =>
        Run(seed, 100_000_000, new RandomInstructions(new FormOptions(StackPointer: true, AbsoluteAddress: 0x1000)).Valid);

    /// <summary>Counts an instruction or a reset as progress: noise often dies at once.</summary>
    private static void Run(ulong seed, ulong instructions, Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        using HostileGuest guest = new(seed);
        using Timer watchdog = new(_ => guest.Machine.RequestStop(), null, Patience, Patience);
        ulong done = 0;
        int resets = 0;
        while (done < instructions)
        {
            guest.Reset(fillCode);
            resets++;
            done += 100;
            for (int run = 0; run < 10; run++)
            {
                ulong before = guest.Machine.Cpu.Counters.Instructions;
                StopReport report = guest.Machine.Run(Slice);
                ulong retired = guest.Machine.Cpu.Counters.Instructions - before;
                Assert.That(retired, Is.LessThanOrEqualTo(Slice));
                done += retired;
                if (report.Reason != StopReason.Limit)
                {
                    break;
                }

                Assert.That(retired, Is.EqualTo(Slice));
            }
        }

        Assert.That(resets, Is.GreaterThan(1));
    }
}
