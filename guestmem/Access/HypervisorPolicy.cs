namespace Quadwalk.GuestMemory;

/// <summary>Which uses of a guest's pages a hypervisor allows its host.</summary>
/// <remarks>
/// Under pKVM (<c>arch/arm64/kvm/hyp/nvhe/mem_protect.c</c>) a page that was donated to a protected guest keeps its struct page and the VMM's
/// mapping, so that get_user_pages still pins it, and has no entry in the host's second stage: whoever touches it faults, by whatever address.
/// So there GUP does not imply a direct map.
/// </remarks>
public sealed class HypervisorPolicy
{
    private readonly bool protects;
    private readonly bool[,] allowed = new bool[4, 4];

    private HypervisorPolicy(string name, bool protects, params ReadOnlySpan<(GuestPageState State, HostUse[] Uses)> rules)
    {
        (Name, this.protects) = (name, protects);
        foreach ((GuestPageState state, HostUse[] uses) in rules)
        {
            foreach (HostUse use in uses)
            {
                allowed[(int)state, (int)use] = true;
            }
        }
    }

    /// <summary>KVM in the host's kernel: private memory is not for processes, and the kernel itself may reach all that it can map.</summary>
    public static HypervisorPolicy Kvm { get; } = new(
        "kvm",
        protects: false,
        (GuestPageState.HostOwned, [HostUse.Gup, HostUse.UserMapping, HostUse.DirectMap, HostUse.KernelWindow]),
        (GuestPageState.SharedWithHost, [HostUse.Gup, HostUse.UserMapping, HostUse.DirectMap, HostUse.KernelWindow]),
        (GuestPageState.Private, [HostUse.DirectMap, HostUse.KernelWindow]));

    /// <summary>pKVM: a hypervisor below the host's kernel, which it does not trust with what is the guest's.</summary>
    public static HypervisorPolicy Pkvm { get; } = new(
        "pkvm",
        protects: true,
        (GuestPageState.HostOwned, [HostUse.Gup, HostUse.UserMapping, HostUse.DirectMap, HostUse.KernelWindow]),
        (GuestPageState.SharedWithHost, [HostUse.Gup, HostUse.UserMapping, HostUse.DirectMap, HostUse.KernelWindow]),
        (GuestPageState.Private, [HostUse.Gup]),
        (GuestPageState.Protected, [HostUse.Gup]));

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Whether the host may use a page so.</summary>
    /// <param name="state">To whom the page belongs.</param>
    /// <param name="use">The use.</param>
    public bool Allows(GuestPageState state, HostUse use) => allowed[(int)state, (int)use];

    /// <summary>To whom a page of a guest belongs under this hypervisor.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="slot">The slot that shows it.</param>
    /// <param name="gfn">Its guest frame.</param>
    public GuestPageState StateOf(Kvm vm, Memslot slot, Gfn gfn)
    {
        ArgumentNullException.ThrowIfNull(vm);
        ArgumentNullException.ThrowIfNull(slot);
        return GuestFrames.IsPrivate(vm, slot, gfn) ? protects ? GuestPageState.Protected : GuestPageState.Private
            : vm.TryGuestMemfd(slot, gfn, out _, out _) ? GuestPageState.SharedWithHost : GuestPageState.HostOwned;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
