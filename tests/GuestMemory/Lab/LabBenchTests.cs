using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The bench of the lab: what makes a run fail, and what it writes down.</summary>
[TestFixture]
public sealed class LabBenchTests
{
    private const string Broken = "both have gone";

    [Test]
    public void WhatDoesNotComeTrueFailsTheRunWithBothValues()
    {
        LabRun run = Run(bench =>
        {
            bench.Expect("a number", 3, 4);
            bench.Expect("another", 5, 5);
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Held, Is.False);
            Assert.That((run.HeldCount, run.FailedCount), Is.EqualTo((1, 1)));
            Assert.That(run.Lines.Select(line => line.Text), Is.EqualTo(new[] { "a number: 3, expected 4", "another: 5" }));
        }
    }

    [Test]
    public void ARunThatExpectsNothingDoesNotHold() => Assert.That(Run(bench => bench.Note("nothing")).Held, Is.False);

    [Test]
    public void WhatTheBodyThrowsEndsTheRun()
    {
        LabRun run = Run(bench =>
        {
            bench.Expect("so far", true);
            throw new InvalidOperationException("no further");
        });
        Assert.That((run.Held, run.Error), Is.EqualTo((false, "InvalidOperationException: no further")));
    }

    [Test]
    public void AnOldKernelHasExpectationsOfItsOwn([Values] KernelBehavior behavior)
    {
        LabScenario scenario = Scenario(bench => bench.Expect("refused", bench.Behavior == KernelBehavior.V6_12, v6_12: true, later: false));
        Assert.That(scenario.Run(behavior).Held);
    }

    [Test]
    public void AComplaintThatNobodyExpectsFailsTheRun([Values] bool expected, [Values] bool beside)
    {
        LabRun run = Run(bench =>
        {
            HostKernel kernel = beside ? bench.MakeKernel() : bench.Kernel;
            kernel.Folios.Put(kernel.Allocator.Allocate()!.Value, 2);
            bench.Expect("something else", true);
            if (expected && !beside)
            {
                bench.ExpectComplaint(KernelEventKind.RefCountUnderflow);
            }
        });
        Assert.That(run.Held, Is.EqualTo(expected && !beside));
    }

    [Test]
    public void AnExpectedComplaintThatDoesNotComeFailsTheRun() =>
        Assert.That(Run(bench => bench.ExpectComplaint(KernelEventKind.Oops)).Held, Is.False);

    [Test]
    public void AllOrdersAreTriedAndTheBrokenOneIsKept()
    {
        LabRun run = Run(bench =>
        {
            bench.ExpectNoOrderBreaks("harmless", () => Two(null));
            bench.ExpectSomeOrderBreaks("harmful", Broken, () => Two(Broken));
        });
        LabExploration[] explored = [.. run.Lines.Where(line => line.Kind == LabLineKind.Explored).Select(line => line.Exploration!)];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Held);
            Assert.That((explored[0].Orders, explored[0].Problem, explored[0].Replay), Is.EqualTo((2L, (string?)null, (LabReplay?)null)));
            Assert.That((explored[1].Problem, explored[1].Replay?.ToString()), Is.EqualTo((Broken, "2:01")));
            Assert.That(explored[1].Taken.Select(step => step.Actor), Is.EqualTo(new[] { "a", "b" }));
        }
    }

    [Test]
    public void ExpectationsOfOrdersCanFail()
    {
        LabRun run = Run(bench =>
        {
            bench.ExpectNoOrderBreaks("harmful", () => Two(Broken));
            bench.ExpectSomeOrderBreaks("harmless", Broken, () => Two(null));
            bench.ExpectSomeOrderBreaks("otherwise harmful", "something else", () => Two(Broken));
        });
        Assert.That(run.FailedCount, Is.EqualTo(3));
    }

    [Test]
    public void AComplaintInAnOrderBreaksARule()
    {
        LabRun run = Run(bench => bench.ExpectSomeOrderBreaks("an underflow", nameof(KernelEventKind.RefCountUnderflow), () =>
        {
            HostKernel kernel = bench.MakeKernel();
            kernel.Folios.Put(kernel.Allocator.Allocate()!.Value, 2);
            return Two(null);
        }));
        Assert.That(run.Held, run.Error);
    }

    [TestCase("2:10", "b a")]
    [TestCase("2:01", "a b")]
    [TestCase("2:1", "b a")]
    public void OneOrderIsTakenInThePlaceOfAll(string key, string order)
    {
        Assert.That(LabReplay.TryParse(key, out LabReplay? replay));
        LabRun run = Scenario(bench =>
        {
            bench.ExpectNoOrderBreaks("first", () => Two(null));
            bench.ExpectSomeOrderBreaks("second", Broken, () => Two(Broken));
        }).Run(new LabOptions { Replay = replay });

        LabExploration[] explored = [.. run.Lines.Where(line => line.Kind == LabLineKind.Explored).Select(line => line.Exploration!)];
        Assert.That(run.Held);
        Assert.That((explored[0].Orders, explored[1].Orders), Is.EqualTo((2, 1)));
        Assert.That(string.Join(' ', explored[1].Taken.Select(step => step.Actor)), Is.EqualTo(order));
    }

    [Test]
    public void AnExplorationEndsWhenItIsAskedTo()
    {
        using CancellationTokenSource stop = new();
        int orders = 0;
        LabScenario scenario = Scenario(bench => bench.Explore("endless", () =>
        {
            if (++orders == 5)
            {
                stop.Cancel();
            }

            Scenario many = new();
            for (int i = 0; i < 12; i++)
            {
                many.With($"p{i}", new Single());
            }

            return many;
        }));
        Assert.That(() => scenario.Run(new LabOptions { Cancellation = stop.Token }), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(orders, Is.EqualTo(5));
    }

    [TestCase("1:0010", true)]
    [TestCase("12:v9a", true)]
    [TestCase("0:1", false)]
    [TestCase("1:", false)]
    [TestCase("1", false)]
    [TestCase(":1", false)]
    [TestCase("1:w", false)]
    [TestCase("1:0:1", false)]
    [TestCase("-1:0", false)]
    [TestCase("99999999999:0", false)]
    [TestCase(null, false)]
    public void AKeyOfAnOrderIsReadAsItIsWritten(string? key, bool valid)
    {
        Assert.That(LabReplay.TryParse(key, out LabReplay? replay), Is.EqualTo(valid));
        Assert.That(replay?.ToString(), Is.EqualTo(valid ? key : null));
    }

    [Test]
    public void CountersCountFromTheFirstStepOrFromWhereTheyAreToldTo([Values] bool begin)
    {
        LabRun run = Run(bench =>
        {
            bench.Map(2);
            bench.Run("vmm", new FaultOperation(bench.Vmm, LabBench.Page(0), write: true));
            if (begin)
            {
                bench.Begin();
            }

            bench.Expect("a page", bench.Touch(1).Value != 0);
        });
        LabCounter free = run.Counters.Single(counter => counter.Name == "free frames");
        Assert.That(free.Before - free.After, begin ? Is.EqualTo(1) : Is.GreaterThan(1));
    }

    [Test]
    public void AStepOfSomethingElseIsWrittenDown()
    {
        LabRun run = Run(bench => bench.Step("cpu0", "mov"));
        Assert.That(run.Lines, Is.EqualTo(new[] { new LabLine(LabLineKind.Step, "cpu0", "mov") }));
    }

    [Test]
    public void ATouchOfNothingIsToldAsSuch() =>
        Assert.That(Run(bench => bench.Touch(5)).Error, Does.StartWith("InvalidOperationException: page 5 cannot be touched: "));

    private static LabScenario Scenario(Action<LabBench> body) => new("a-test", 1, "A test.", body);

    private static LabRun Run(Action<LabBench> body) => Scenario(body).Run(KernelBehavior.V6_13);

    private static Scenario Two(string? problem) => new Scenario { AtEnd = () => problem }.With("a", new Single()).With("b", new Single());

    private sealed class Single : HostOperation
    {
        public override string Name => "single";

        protected override IEnumerable<Step> Steps()
        {
            yield return Step.Do("only step", ulong.MaxValue, ulong.MaxValue);
        }
    }
}
