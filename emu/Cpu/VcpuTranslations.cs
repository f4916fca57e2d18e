using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

public sealed unsafe partial class Vcpu
{
    private const ulong PcidMask = 0xFFF;

    /// <summary>
    /// Told of the use of a translation that the tables no longer have, in <see cref="TlbMode.Strict"/>: once for each page, while the
    /// instruction runs. A handler must not run or change the processor.
    /// </summary>
    public event Action<StaleUse>? StaleTranslationUsed;

    /// <summary>The PCID that translations are made under: CR3[11:0] with CR4.PCIDE, else 0.</summary>
    internal ushort CurrentPcid => (state->Cr4 & Cr4.PCIDE) != 0 ? (ushort)(state->Cr3 & PcidMask) : (ushort)0;

    /// <summary>
    /// Drops every translation and takes up CPL, control registers and IA32_EFER as they stand in <see cref="State"/>. The guest's own
    /// instructions see to this themselves; it is for whoever changes them from outside, between runs.
    /// </summary>
    public void FlushTlb() => FlushTlb(TlbFlushCause.Host);

    /// <summary>The same for a change that drops everything.</summary>
    internal void FlushTlb(TlbFlushCause cause)
    {
        Tlb.FlushAll(cause);
        ContextChanged();
    }

    /// <summary>INVLPG.</summary>
    internal void FlushTlbPage(Gva gva)
    {
        Tlb.FlushPage(gva);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>INVPCID type 0.</summary>
    internal void FlushTlbPage(ushort pcid, Gva gva)
    {
        Tlb.FlushPage(pcid, gva);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>MOV to CR3 with the same value, and INVPCID type 1.</summary>
    internal void FlushTlbPcid(ushort pcid, TlbFlushCause cause)
    {
        Tlb.FlushPcid(pcid, cause);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>Everything of every PCID that is not global: INVPCID type 3.</summary>
    internal void FlushTlbNonGlobal(TlbFlushCause cause = TlbFlushCause.InvpcidNonGlobal)
    {
        Tlb.FlushNonGlobal(cause);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>CR3 was loaded: takes up its PCID, with what is cached of it or without.</summary>
    internal void AddressSpaceChanged(bool keep)
    {
        if (keep)
        {
            Tlb.Keep(CurrentPcid);
        }
        else
        {
            Tlb.Select(CurrentPcid);
            Tlb.FlushPcid(CurrentPcid, TlbFlushCause.MovCr3);
        }

        state->Tlb = Tlb.Entries(CurrentContext);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>Passes the use of a stale translation on.</summary>
    internal void ReportStale(StaleTranslation translation) =>
        StaleTranslationUsed?.Invoke(new StaleUse(new Gva(state->Rip), Counters.Instructions, translation));
}
