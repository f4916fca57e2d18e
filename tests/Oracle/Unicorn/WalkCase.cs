using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>One access through tables of one path: the entries by level, and what decides beside them.</summary>
/// <param name="Mode">The paging mode.</param>
/// <param name="Entries">The entries, by level; those of no level are 0.</param>
/// <param name="Address">The linear address of the instruction or the data.</param>
/// <param name="Kind">What is done there.</param>
/// <param name="User">At CPL 3.</param>
/// <param name="Controls">What decides beside the entries.</param>
internal sealed record WalkCase(PagingMode Mode, ulong[] Entries, ulong Address, AccessKind Kind, bool User, WalkControls Controls)
{
    public const ulong Cr0 = 0x8000_0031;

    private const ulong Lme = 0x100;

    public ulong Cr0Value => Cr0 | (Has(WalkControls.WP) ? PagingState.Cr0WP : 0);

    public ulong Cr4Value =>
        (Mode == PagingMode.Bits32 ? 0 : PagingState.Cr4PAE)
        | (Has(WalkControls.PSE) ? PagingState.Cr4PSE : 0)
        | (Has(WalkControls.PGE) ? PagingState.Cr4PGE : 0)
        | (Has(WalkControls.SMEP) ? PagingState.Cr4SMEP : 0)
        | (Has(WalkControls.SMAP) ? PagingState.Cr4SMAP : 0)
        | (Has(WalkControls.PKE) ? PagingState.Cr4PKE : 0);

    public ulong Efer =>
        (Mode == PagingMode.FourLevel ? Lme | PagingState.EferLMA : 0) | (Has(WalkControls.NXE) ? PagingState.EferNXE : 0);

    public WalkAccess Access => new(Kind, User);

    public bool Has(WalkControls control) => (Controls & control) != 0;

    /// <summary>The state that makes this case for Quadwalk's walker; accessed flags as QEMU's code, which Unicorn has, sets them.</summary>
    public PagingState State(ulong root, uint pkru, PdpteRegisters pdptes) => new(
        Cr0Value, root, Cr4Value, Efer, Has(WalkControls.AC), UnicornMmu.PhysicalAddressBits,
        Accessed: AccessedPolicy.OnUse, Pdptes: pdptes, Pkru: pkru);

    public override string ToString() =>
        $"{Mode} {Kind} {(User ? "user" : "supervisor")} at {new Gva(Address)}, {Controls}, "
        + string.Join(' ', Entries.Select((entry, level) => $"L{level}={entry:x}").Skip(1).Reverse());
}
