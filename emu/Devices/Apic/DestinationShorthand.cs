namespace Quadwalk.Emulation;

/// <summary>Bits 18 and 19 of the interrupt command register (SDM Vol. 3A, 12.6.1).</summary>
public enum DestinationShorthand : byte
{
    /// <summary>The destination field says who.</summary>
    None = 0,

    /// <summary>The sender.</summary>
    Self = 1,

    /// <summary>Every processor.</summary>
    AllIncludingSelf = 2,

    /// <summary>Every processor but the sender.</summary>
    AllExcludingSelf = 3,
}
