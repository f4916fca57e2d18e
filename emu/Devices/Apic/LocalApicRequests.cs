namespace Quadwalk.Emulation;

public sealed partial class LocalApic
{
    private ApicRequests requests;
    private bool nmiBlocked;

    /// <summary>What the processor is asked to do; of several, INIT comes first, then the start-up request, SMI and NMI.</summary>
    public ApicRequests Requests => requests | (nmis == 0 ? 0 : ApicRequests.Nmi);

    /// <summary>The page at which a start-up request wants the processor to begin: address and CS base are 4096 times it.</summary>
    public byte StartupVector { get; private set; }

    /// <summary>
    /// Whether the processor blocks NMIs, from the delivery of one to its IRET. The processor says so, because of several NMIs that
    /// arrive meanwhile one remains; while it does not block them one can be on its way to delivery and one behind it.
    /// </summary>
    public bool NmiBlocked
    {
        get => nmiBlocked;
        set
        {
            nmiBlocked = value;
            nmis = Math.Min(nmis, MostNmis);
        }
    }

    private int MostNmis => nmiBlocked ? 1 : 2;

    /// <summary>The processor has taken up one of <see cref="Requests"/>; an NMI may leave another behind.</summary>
    public void Take(ApicRequests request)
    {
        requests &= ~request;
        if ((request & ApicRequests.Nmi) != 0)
        {
            nmis = Math.Max(nmis - 1, 0);
        }
    }

    private void AddRequest(DeliveryMode mode, byte vector)
    {
        switch (mode)
        {
            case DeliveryMode.Nmi:
                AddNmi();
                break;
            case DeliveryMode.Smi:
                requests |= ApicRequests.Smi;
                break;
            case DeliveryMode.Init:
                requests = (requests | ApicRequests.Init) & ~ApicRequests.Startup;
                break;
            case DeliveryMode.Startup:
                StartupVector = vector;
                requests |= ApicRequests.Startup;
                break;
        }

        Changed?.Invoke();
    }

    private void AddNmi() => nmis = Math.Min(nmis + 1, MostNmis);
}
