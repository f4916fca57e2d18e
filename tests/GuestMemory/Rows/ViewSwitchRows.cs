using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Row 43 of the host-memory table: a temporary view, and interrupts that come while it is loaded.</summary>
[TestFixture]
public sealed class ViewSwitchRows
{
    [Test]
    public void Row43_The_page_is_reached_in_the_view_and_nowhere_else()
    {
        using PathCase guest = PathCase.File(directMap: false);
        using ViewSwitchPath path = ViewSwitchPath.For(guest.Vm);
        GuestMemory.HostProcessor other = new(guest.Kernel, 1);
        other.Run(guest.Host.Process);
        path.Write(new Gpa(0), [3]);
        byte[] read = new byte[1];
        Actor access = new("vcpu0", path.ReadSteps(new Gpa(0), read));
        while (!access.Next.Name.EndsWith("copy", StringComparison.Ordinal))
        {
            access.Go();
        }

        (bool inside, bool elsewhere, int depth, bool interrupts) = (path.Reaches(path.Processor), path.Reaches(other), path.Processor.Depth, path.Processor.InterruptsEnabled);
        while (access.IsEnabled)
        {
            access.Go();
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That((inside, elsewhere, depth, interrupts), Is.EqualTo((true, false, 1, false)));
            Assert.That((read[0], path.Processor.Depth, path.Processor.InterruptsEnabled), Is.EqualTo((3, 0, true)));
            Assert.That(path.Reaches(path.Processor), Is.False, "the default view does not show it");
            Assert.That((path.Ledger.ViewSwitches, path.Ledger.Flushes, path.Ledger.InterruptedProcessors, path.Ledger.Restores), Is.EqualTo((2, 2, 0, 0)));
        }
    }

    [TestCase(ViewInterrupts.Disabled, InterruptEntry.KeepsView, InjectedFaults.None, null)]
    [TestCase(ViewInterrupts.Enabled, InterruptEntry.SavesView, InjectedFaults.None, null)]
    [TestCase(ViewInterrupts.Enabled, InterruptEntry.KeepsView, InjectedFaults.None, "ForeignView")]
    [TestCase(ViewInterrupts.Enabled, InterruptEntry.SavesView, InjectedFaults.ForgetViewRestore, "Oops")]
    public void Row43_An_interrupt_in_the_window_finds_the_default_view_and_gives_back_the_other(
        ViewInterrupts interrupts, InterruptEntry entry, InjectedFaults faults, string? problem)
    {
        HashSet<bool> within = [];
        InterleavingException? found = null;
        try
        {
            StepScheduler.ExploreAll(() =>
            {
                PathCase guest = PathCase.File(directMap: false, faults, frames: 160);
                ViewSwitchPath path = ViewSwitchPath.For(guest.Vm, interrupts);
                path.Write(new Gpa(0), [0x42]);
                (byte[] read, bool handlerSees) = (new byte[1], false);
                return new Scenario
                {
                    World = guest,
                    Always = () => guest.Kernel.Log.Events.Count > 0 ? guest.Kernel.Log.Events[0].ToString() : null,
                    AtEnd = () => read[0] != 0x42 ? $"read 0x{read[0]:x}" : handlerSees ? "the handler reached the guest's page" : !path.Processor.InDefaultView ? "the view stayed" : null,
                }.With("vcpu0", path.ReadSteps(new Gpa(0), read))
                    .With("irq", path.Processor.Interrupt(entry, processor =>
                    {
                        within.Add(processor.Depth > 0);
                        handlerSees = path.Reaches(processor);
                    }));
            });
        }
        catch (InterleavingException e)
        {
            found = e;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(found?.Problem, problem is null ? Is.Null : Does.StartWith(problem));
            Assert.That(within.Contains(true), Is.EqualTo(interrupts == ViewInterrupts.Enabled), "an interrupt came in the window");
        }
    }

    [Test]
    public void Row43_A_handler_that_accesses_the_guest_itself_nests_a_view()
    {
        using PathCase guest = PathCase.File(directMap: false);
        using ViewSwitchPath path = ViewSwitchPath.For(guest.Vm, ViewInterrupts.Enabled);
        using ViewSwitchPath inner = new(guest.Vm, path.Processor, ViewInterrupts.Enabled);
        path.Write(new Gpa(0), [1]);
        path.Write(new Gpa(0x1000), [2]);
        byte[] outer = new byte[1];
        byte[] nested = new byte[1];
        Actor access = new("vcpu0", path.ReadSteps(new Gpa(0), outer));
        while (!access.Next.Name.EndsWith("copy", StringComparison.Ordinal))
        {
            access.Go();
        }

        path.Processor.Interrupt(InterruptEntry.SavesView, _ => inner.Read(new Gpa(0x1000), nested)).Run();
        while (access.IsEnabled)
        {
            access.Go();
        }

        Assert.That((outer[0], nested[0], path.Processor.Depth, guest.Kernel.Log.Count), Is.EqualTo((1, 2, 0, 0)));
    }

    [Test]
    public void Row43_The_views_tables_go_back_with_the_path()
    {
        using PathCase guest = PathCase.File(directMap: false);
        new UserspacePath(guest.Vm).Write(new Gpa(0), new byte[0x2000]);
        (long, long, long, ulong) before = guest.Counters();
        ViewSwitchPath path = ViewSwitchPath.For(guest.Vm);
        GuestAccessStatus status = path.Write(new Gpa(0xfff), [1, 2]);
        path.Dispose();

        Assert.That((status, guest.Counters()), Is.EqualTo((GuestAccessStatus.Success, before)));
    }
}
