using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The rule of the second stage: outside an invalidation it shows what the VMM's page tables show, with no more rights.</summary>
internal static class StageTwoCheck
{
    public static string? Problem(Kvm vm)
    {
        foreach (Memslot slot in vm.Slots.All)
        {
            for (ulong page = 0; page < slot.Size >> 12; page++)
            {
                Gfn gfn = new((slot.Base.Value >> 12) + page);
                bool covered = vm.InvalidationsInProgress > 0 && gfn.Value >= vm.InvalidateRange.First.Value && gfn.Value < vm.InvalidateRange.End.Value;
                if (!vm.StageTwo.TryFind(gfn, out StageTwoEntry entry, out Pfn frame))
                {
                    continue;
                }

                bool mapped = vm.Process.Tables.LookupPfn(slot.Host + (page << 12), out Pfn host, out _, out bool writable);
                if (!mapped || host != frame)
                {
                    // Between start and zap the old entry may still be there: the zap comes before anything of the host's changes.
                    return $"the guest reaches a frame that the host has unmapped: guest frame {gfn} shows {frame}{(covered ? " during an invalidation" : "")}";
                }

                if (entry.Writable && !writable)
                {
                    return $"the guest may write frame {frame}, which the host may not";
                }
            }
        }

        return null;
    }
}
