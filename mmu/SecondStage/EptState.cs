using System.Runtime.CompilerServices;

namespace Quadwalk.Mmu;

/// <summary>All that translation by EPT depends on beside the tables.</summary>
public readonly struct EptState
{
    /// <summary>Combines pointer, limits and controls.</summary>
    /// <param name="eptp">EPTP.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR, 32 to 52.</param>
    /// <param name="capabilities">What the processor can do.</param>
    /// <param name="modeBasedExecute">The control "mode-based execute control for EPT".</param>
    /// <param name="log">The page-modification log of this processor; null without the control "enable PML".</param>
    /// <exception cref="ArgumentOutOfRangeException">MAXPHYADDR is not 32 to 52.</exception>
    /// <exception cref="ArgumentException">VM entry would refuse the pointer, or PML without accessed and dirty flags.</exception>
    public EptState(EptPointer eptp, byte physicalAddressBits, EptCapabilities capabilities, bool modeBasedExecute = false, PageModificationLog? log = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(physicalAddressBits, (byte)32);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(physicalAddressBits, (byte)52);
        if (eptp.Objection(capabilities, physicalAddressBits) is { } objection)
        {
            throw new ArgumentException($"EPTP 0x{eptp.Raw:x}: {objection}.", nameof(eptp));
        }

        if (log is not null && !eptp.AccessedDirty)
        {
            throw new ArgumentException("Page-modification logging needs accessed and dirty flags: EPTP bit 6.", nameof(log));
        }

        Eptp = eptp;
        PhysicalAddressBits = physicalAddressBits;
        Capabilities = capabilities;
        ModeBasedExecute = modeBasedExecute;
        Log = log;
        Levels = eptp.Levels;
        AccessedDirty = eptp.AccessedDirty;
        Beyond = EptEntry.AddressMask & ~((1UL << physicalAddressBits) - 1);
        ReferenceMask = Beyond | EptEntry.ReadBit | EptWalker.ReservedInReference;
    }

    /// <summary>EPTP.</summary>
    public EptPointer Eptp { get; }

    /// <summary>What the processor can do.</summary>
    public EptCapabilities Capabilities { get; }

    /// <summary>The page-modification log, or null.</summary>
    public PageModificationLog? Log { get; }

    /// <summary>The page-walk length, 4 or 5.</summary>
    public int Levels { get; }

    /// <summary>MAXPHYADDR.</summary>
    public byte PhysicalAddressBits { get; }

    /// <summary>Accessed and dirty flags are enabled.</summary>
    public bool AccessedDirty { get; }

    /// <summary>The control "mode-based execute control for EPT".</summary>
    public bool ModeBasedExecute { get; }

    /// <summary>The bits of an entry that make it present.</summary>
    internal ulong PresentMask
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => EptEntry.ReadBit | EptEntry.WriteBit | EptEntry.ExecuteBit | (ModeBasedExecute ? EptEntry.ExecuteUserBit : 0);
    }

    /// <summary>Address bits that do not exist.</summary>
    internal ulong Beyond { get; }

    /// <summary>What the bits are taken from that an entry must have, R alone, to reference a table that can be read through.</summary>
    internal ulong ReferenceMask { get; }
}
