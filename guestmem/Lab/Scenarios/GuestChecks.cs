namespace Quadwalk.GuestMemory;

/// <summary>Rules about guests that scenarios look at after each step, worked out from the VMM's page tables alone.</summary>
internal static class GuestChecks
{
    /// <summary>
    /// What a guest reaches by its second stage, or by a translation that a vCPU in the guest has cached, is what the VMM's page tables show,
    /// with no more rights.
    /// </summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? Stale(Kvm guest)
    {
        foreach ((Gfn first, StageTwoEntry entry) in guest.StageTwo.Entries)
        {
            for (ulong i = 0; i < 1UL << HostPageTable.OrderOf(entry.Level); i++)
            {
                string? problem = entry.Private ? null : Compare(guest, new Gfn(first.Value + i), new Pfn(entry.Frame.Value + i), entry.Writable, "the second stage");
                if (problem is not null)
                {
                    return problem;
                }
            }
        }

        foreach (KvmVcpu vcpu in guest.Vcpus.Where(vcpu => vcpu.InGuest && !vcpu.IsKicked))
        {
            foreach ((Gfn gfn, Pfn frame, bool writable) in vcpu.Translations)
            {
                if (!guest.StageTwo.TryFind(gfn, out StageTwoEntry entry, out _) || !entry.Private)
                {
                    string? problem = Compare(guest, gfn, frame, writable, $"the TLB of vCPU {vcpu.Id}");
                    if (problem is not null)
                    {
                        return problem;
                    }
                }
            }
        }

        return null;
    }

    private static string? Compare(Kvm guest, Gfn gfn, Pfn frame, bool writable, string where)
    {
        if (!guest.Slots.TryFind(gfn.Address, out Memslot? slot))
        {
            return $"{where} shows frame {frame} for guest frame {gfn}, which no slot holds";
        }

        Hva hva = slot.Host + (gfn.Address.Value - slot.Base.Value);
        bool mapped = guest.Process.Tables.LookupPfn(hva, out Pfn host, out _, out bool hostWritable);
        return !mapped || host != frame ? $"{where} shows frame {frame} for guest frame {gfn}, and the VMM {(mapped ? host.ToString() : "nothing")}"
            : writable && !hostWritable ? $"{where} lets the guest write frame {frame}, which the VMM may not"
            : null;
    }
}
