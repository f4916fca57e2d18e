namespace Quadwalk.Emulation;

/// <summary>What an interrupt message asks of a processor (SDM Vol. 3A, 12.6.1, and the 82093AA data sheet, 3.2.4).</summary>
public enum DeliveryMode : byte
{
    /// <summary>The vector goes to every destination.</summary>
    Fixed = 0,

    /// <summary>The vector goes to the destination of lowest priority.</summary>
    LowestPriority = 1,

    /// <summary>A system management interrupt.</summary>
    Smi = 2,

    /// <summary>Reserved: such a message reaches nobody.</summary>
    Reserved = 3,

    /// <summary>A non-maskable interrupt.</summary>
    Nmi = 4,

    /// <summary>An INIT request.</summary>
    Init = 5,

    /// <summary>A start-up request: the vector is the page to start at.</summary>
    Startup = 6,

    /// <summary>The vector comes from an external controller, an 8259.</summary>
    ExtInt = 7,
}
