using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>Why a vCPU came back to the VMM (<c>KVM_EXIT_*</c>).</summary>
public enum KvmExitReason
{
    /// <summary>KVM_EXIT_HLT: the guest code has come to its end.</summary>
    Halted,

    /// <summary>KVM_EXIT_MMIO: no memory there, or a write to what is read-only.</summary>
    Mmio,

    /// <summary>KVM_EXIT_MEMORY_FAULT, with a record and an error.</summary>
    MemoryFault,

    /// <summary>KVM_EXIT_DIRTY_RING_FULL.</summary>
    DirtyRingFull,

    /// <summary>KVM_RUN failed with an error, and nothing is told beside.</summary>
    Error,
}

/// <summary>What KVM_EXIT_MEMORY_FAULT tells (<c>kvm_run.memory_fault</c>).</summary>
/// <param name="Gpa">Where the page begins.</param>
/// <param name="Size">How many bytes.</param>
/// <param name="IsPrivate">KVM_MEMORY_EXIT_FLAG_PRIVATE: the access was to private memory.</param>
public readonly record struct MemoryFaultRecord(Gpa Gpa, ulong Size, bool IsPrivate)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Size} bytes at {Gpa}, {(IsPrivate ? "private" : "shared")}");
}

/// <summary>How KVM_RUN ended.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Error">What KVM_RUN returned; with a memory fault EFAULT, EHWPOISON or what the guest_memfd said.</param>
/// <param name="Gpa">Where, of MMIO.</param>
/// <param name="Fault">The record of a memory fault.</param>
public readonly record struct KvmExit(KvmExitReason Reason, Errno Error = Errno.None, Gpa Gpa = default, MemoryFaultRecord? Fault = null)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Reason}{(Error == Errno.None ? "" : $", {Error}")}{(Reason == KvmExitReason.Mmio ? $", at {Gpa}" : "")}{(Fault is null ? "" : $", {Fault}")}";
}
