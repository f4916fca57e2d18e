using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// One processor edits page tables that all others use, and withdraws translations by IPI: right however long the processors' turns are, and
/// however many there are. Turns of one tick put another processor between any two instructions.
/// </summary>
[TestFixture]
internal sealed class ShootdownTests
{
    private const ulong MostInstructions = 2_000_000_000;

    [Test]
    public void WhatItPrintsIsTheSameForAnyNumberOfProcessors([Values(1, 2, 3, 4, 5, 6, 7, 8)] int processors) => Run(processors, 500);

    [Test]
    public void AndForTurnsOfAnyLength([Values(2, 4)] int processors, [Values(1ul, 2ul, 7ul, 33ul, 1000ul, 20_000ul)] ulong ticks) => Run(processors, ticks);

    [Test]
    public void TheSameTurnsGiveTheSameRun()
    {
        ulong[] counts = [Run(3, 61), Run(3, 61), Run(3, 62)];
        Assert.That(counts[1], Is.EqualTo(counts[0]));
        Assert.That(counts[2], Is.Not.EqualTo(counts[0]), "turns of another length give another interleaving");
    }

    private static ulong Run(int processors, ulong ticks)
    {
        const string name = "pc/shootdown";
        using MemoryStream console = new();
        using Machine machine = new(new MachineOptions { Kind = MachineKind.Pc, Processors = processors, TurnTicks = ticks, Console = console });
        MultibootImage image = MultibootImage.Parse(File.ReadAllBytes(GuestSamples.PathOf(name + ".elf")));
        MultibootStart.Enter(machine, MultibootLoader.Load(machine, image, name, ""));
        StopReport report = machine.Run(MostInstructions);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Encoding.UTF8.GetString(console.ToArray()), Is.EqualTo(GuestSamples.ExpectedOutput(name)));
            Assert.That(report, Is.EqualTo(new StopReport(StopReason.Exit, 1)));
        }

        return machine.Cpus.Aggregate(0UL, (sum, cpu) => sum + cpu.Counters.Instructions);
    }
}
