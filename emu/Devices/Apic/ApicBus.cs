namespace Quadwalk.Emulation;

/// <summary>What the APICs of a machine send their messages over. A message has arrived when <see cref="Send"/> returns.</summary>
public sealed class ApicBus
{
    private readonly List<LocalApic> apics = [];
    private readonly List<IoApic> ioApics = [];

    /// <summary>The local APICs, by index of their processor.</summary>
    public IReadOnlyList<LocalApic> LocalApics => apics;

    /// <summary>Delivers a message; false when nobody took it.</summary>
    /// <param name="message">The message; its destination does not count where a shorthand is given.</param>
    /// <param name="shorthand">Who is meant, from the sender's point of view.</param>
    /// <param name="sender">The local APIC that sends; null for an I/O APIC or a device, which have no shorthands.</param>
    public bool Send(in InterruptMessage message, DestinationShorthand shorthand = DestinationShorthand.None, LocalApic? sender = null)
    {
        if (message.Mode == DeliveryMode.LowestPriority)
        {
            LocalApic? least = LeastBusy(message, shorthand, sender);
            return least is not null && least.Accept(message);
        }

        bool taken = false;
        foreach (LocalApic apic in apics)
        {
            if (IsMeant(apic, message, shorthand, sender))
            {
                taken |= apic.Accept(message);
            }
        }

        return taken;
    }

    internal void Attach(LocalApic apic)
    {
        if (apic.VcpuIndex != apics.Count)
        {
            throw new ArgumentException($"the local APIC of processor {apic.VcpuIndex} comes where that of {apics.Count} is expected", nameof(apic));
        }

        apics.Add(apic);
    }

    internal void Attach(IoApic ioApic) => ioApics.Add(ioApic);

    /// <summary>Tells the I/O APICs that a level-triggered interrupt has been served.</summary>
    internal void EndOfInterrupt(byte vector)
    {
        foreach (IoApic ioApic in ioApics)
        {
            ioApic.EndOfInterrupt(vector);
        }
    }

    private LocalApic? LeastBusy(in InterruptMessage message, DestinationShorthand shorthand, LocalApic? sender)
    {
        LocalApic? least = null;
        foreach (LocalApic apic in apics)
        {
            if (IsMeant(apic, message, shorthand, sender) && apic.IsSoftwareEnabled
                && (least is null || apic.ProcessorPriority < least.ProcessorPriority))
            {
                least = apic;
            }
        }

        return least;
    }

    private static bool IsMeant(LocalApic apic, in InterruptMessage message, DestinationShorthand shorthand, LocalApic? sender) => shorthand switch
    {
        DestinationShorthand.Self => apic == sender,
        DestinationShorthand.AllIncludingSelf => true,
        DestinationShorthand.AllExcludingSelf => apic != sender,
        _ => message.IsBroadcast || (message.IsLogical ? apic.MatchesLogical(message.Destination) : apic.Id == message.Destination),
    };
}
