using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Where libunicorn 2.1.1 does not walk as the SDM says.</summary>
internal static class WalkErrata
{
    private const int Pdpte = 3, Pml4e = 4;

    private static readonly WalkErratum[] all =
    [
        new(
            "sets A of a PDPTE that maps a page before it looks at reserved address bits and rights",
            "5.8: A is set when the entry is used for a translation, and here there is none",
            [PagingMode.FourLevel],
            (walk, result) => !result.Succeeded && result.Level is Pdpte or Pml4e && ReachesLargePdpte(walk, result),
            outcome =>
            {
                ulong[] entries = [.. outcome.Entries];
                entries[Pdpte] |= PageTableEntry.ABit;
                return outcome with { Entries = entries };
            }),
    ];

    public static IEnumerable<WalkErratum> Of(PagingMode mode) => all.Where(erratum => erratum.Modes.Contains(mode));

    private static bool ReachesLargePdpte(WalkCase walk, WalkResult result)
    {
        PageTableEntry pdpte = new(walk.Entries[Pdpte]);
        ulong reservedAtAnyLevel = (ulong.MaxValue << UnicornMmu.PhysicalAddressBits & PageTableEntry.AddressMask4K)
            | (walk.Has(WalkControls.NXE) ? 0 : PageTableEntry.NXBit);
        bool stopsAbove = result.Level == Pml4e && result.Failure is (WalkFailure.NotPresent or WalkFailure.ReservedBits);
        return !stopsAbove && pdpte.P && pdpte.PS && (pdpte.Raw & reservedAtAnyLevel) == 0;
    }
}
