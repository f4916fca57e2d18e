using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>A frame number for a guest frame, or why there is none (<c>kvm_pfn_t</c>), in KVM's own encoding.</summary>
/// <param name="Raw">The number; with bits 62:52 an error, with bit 63 no memslot.</param>
public readonly record struct PfnResult(ulong Raw)
{
    /// <summary>KVM_PFN_ERR_MASK.</summary>
    public const ulong ErrorMask = 0x7ffUL << 52;

    /// <summary>KVM_PFN_NOSLOT.</summary>
    public const ulong NoSlotBit = 1UL << 63;

    /// <summary>KVM_PFN_ERR_FAULT: nothing can be reached there; -EFAULT to the VMM.</summary>
    public static PfnResult Fault => new(ErrorMask);

    /// <summary>KVM_PFN_ERR_HWPOISON: the hardware has lost the page; SIGBUS to the VMM.</summary>
    public static PfnResult HwPoison => new(ErrorMask + 1);

    /// <summary>KVM_PFN_ERR_RO_FAULT: a write, and the slot or the mapping allows none: emulate it.</summary>
    public static PfnResult ReadOnlyFault => new(ErrorMask + 2);

    /// <summary>KVM_PFN_ERR_SIGPENDING: a signal came first; exit with -EINTR.</summary>
    public static PfnResult SignalPending => new(ErrorMask + 3);

    /// <summary>KVM_PFN_ERR_NEEDS_IO: it would wait, and that was not wanted.</summary>
    public static PfnResult NeedsIo => new(ErrorMask + 4);

    /// <summary>KVM_PFN_NOSLOT: no memslot holds the frame: MMIO.</summary>
    public static PfnResult NoSlot => new(NoSlotBit);

    /// <summary>is_error_noslot_pfn: there is no frame.</summary>
    public bool IsError => (Raw & (ErrorMask | NoSlotBit)) != 0;

    /// <summary>The frame; meaningless for an error.</summary>
    public Pfn Frame => new(Raw);

    /// <summary>A frame that was found.</summary>
    public static PfnResult Found(Pfn frame) => new(frame.Value);

    /// <inheritdoc/>
    public override string ToString() =>
        this == Fault ? "FAULT" : this == HwPoison ? "HWPOISON" : this == ReadOnlyFault ? "RO_FAULT" : this == SignalPending ? "SIGPENDING"
        : this == NeedsIo ? "NEEDS_IO" : this == NoSlot ? "NOSLOT" : Raw.ToString("x", CultureInfo.InvariantCulture);
}
