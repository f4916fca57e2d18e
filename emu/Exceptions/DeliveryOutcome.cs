namespace Quadwalk.Emulation;

/// <summary>How the delivery of an exception ended.</summary>
public enum DeliveryOutcome
{
    /// <summary>RIP is at a handler: that of the exception, or of a second one met on the way to it.</summary>
    Delivered,

    /// <summary>The processor shut down; it stands where it stood before the delivery.</summary>
    TripleFault,
}
