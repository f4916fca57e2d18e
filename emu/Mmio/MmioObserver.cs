namespace Quadwalk.Emulation;

/// <summary>Watches MMIO; called after each piece of an access is done.</summary>
public delegate void MmioObserver(in MmioAccess access);
