// A modelled host with a guest, and a race: the guest's first access to a page beside the VMM's munmap of it. Every order of their steps is
// tried, first with a kernel that does what it should, then with one that forgets a look; the order that shows it is taken again.
using Quadwalk.GuestMemory;

Hva page = new(0x10_0000_0000);
Gpa gpa = new(0);

using (World world = new(InjectedFaults.None))
{
    StageTwoOutcome outcome = new StageTwoFault(world.Guest, gpa, write: true).Run();
    Console.WriteLine($"the guest's first write: {outcome}, and it {(world.GuestHasPage ? "has" : "does not have")} the page");
    world.Vmm.Unmap(page, 1).Run();
    Console.WriteLine($"after munmap it {(world.GuestHasPage ? "has" : "does not have")} the page");
}

StepScheduler.ExploreAll(() => Race(InjectedFaults.None));
Console.WriteLine("side by side: in no order is the guest left with the page");

try
{
    StepScheduler.ExploreAll(() => Race(InjectedFaults.SkipInvalidateCheck));
}
catch (InterleavingException e)
{
    Console.WriteLine($"without the look at the sequence: {e.Problem}");
    try
    {
        StepScheduler.Replay(Race(InjectedFaults.SkipInvalidateCheck), e.Interleaving.Choices);
    }
    catch (InterleavingException again)
    {
        Console.WriteLine($"the same again: {again.Problem}");
        string[] sides = [.. again.Interleaving.Taken.Select(step => step.Actor)];
        bool between = Array.IndexOf(sides, "vmm") > Array.IndexOf(sides, "vcpu0") && Array.LastIndexOf(sides, "vcpu0") > Array.IndexOf(sides, "vmm");
        Console.WriteLine($"munmap began {(between ? "within" : "outside")} the fault");
    }
}

Scenario Race(InjectedFaults faults)
{
    World world = new(faults);
    return new Scenario { World = world, AtEnd = () => world.GuestHasPage ? "the guest has a page that the host has unmapped" : null }
        .With("vcpu0", new StageTwoFault(world.Guest, gpa, write: true))
        .With("vmm", world.Vmm.Unmap(page, 1));
}

internal sealed class World : IDisposable
{
    private readonly HostKernel host;

    public World(InjectedFaults faults)
    {
        host = new HostKernel(new HostKernelOptions { Frames = 256, Faults = faults });
        Vmm = new AddressSpace(host);
        Vmm.MapAt(0x10_0000_0000, 1, VmFlags.Read | VmFlags.Write);
        Guest = new Kvm(Vmm);
        Guest.Slots.Add(new Gpa(0), PageSize.Size4K, new Hva(0x10_0000_0000));
    }

    public AddressSpace Vmm { get; }

    public Kvm Guest { get; }

    public bool GuestHasPage => Guest.StageTwo.TryFind(new Gfn(0), out _, out _);

    public void Dispose() => host.Dispose();
}
