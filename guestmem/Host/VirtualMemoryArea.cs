using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>A range of a process's addresses with one set of rights and one backing (<c>struct vm_area_struct</c>).</summary>
public sealed class VirtualMemoryArea
{
    internal VirtualMemoryArea(AddressSpace owner, Hva start, Hva end, VmFlags flags, VmBacking? backing, ulong offset)
    {
        Owner = owner;
        Start = start;
        End = end;
        Flags = flags;
        Backing = backing;
        Offset = offset;
    }

    /// <summary>The process.</summary>
    public AddressSpace Owner { get; }

    /// <summary>The first address; a multiple of 4096.</summary>
    public Hva Start { get; internal set; }

    /// <summary>The first address after it.</summary>
    public Hva End { get; internal set; }

    /// <summary>What it allows and is.</summary>
    public VmFlags Flags { get; internal set; }

    /// <summary>What its pages come from; null: anonymous memory.</summary>
    public VmBacking? Backing { get; }

    /// <summary>Where in the backing it starts, in pages.</summary>
    public ulong Offset { get; internal set; }

    /// <summary>Private and writable: a write makes a copy (is_cow_mapping).</summary>
    public bool IsCopyOnWrite => (Flags & (VmFlags.Shared | VmFlags.Write)) == VmFlags.Write;

    /// <summary>The protection key of its pages: 0 to 15 (pkey_mprotect).</summary>
    public int ProtectionKey { get; internal set; }

    /// <summary>Anything is allowed at all (vma_is_accessible): an entry without rights is a NUMA hint then.</summary>
    public bool IsAccessible => (Flags & (VmFlags.Read | VmFlags.Write | VmFlags.Exec)) != 0;

    /// <summary>Pages become writable only through <see cref="VmBacking.MakeWritable"/> (vma_needs_dirty_tracking).</summary>
    public bool NeedsDirtyTracking => (Flags & VmFlags.Shared) != 0 && Backing is { NeedsDirtyTracking: true };

    /// <summary>The entry that shows a page with the range's rights (vm_page_prot).</summary>
    internal HostPte EntryFor(Pfn frame, bool writable, int level = 1)
    {
        HostPte entry = HostPte.Map(frame, writable, level).WithKey(ProtectionKey);
        return IsAccessible ? entry : entry.WithRights(readable: false);
    }

    /// <summary>Whether an address lies in it.</summary>
    public bool Contains(Hva hva) => hva.Value >= Start.Value && hva.Value < End.Value;

    /// <summary>The number of the page of the backing that an address shows.</summary>
    public ulong PageOf(Hva hva) => Offset + ((hva.Value - Start.Value) >> PageSize.Shift4K);

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Start}..{End} {Flags} {Backing?.Name ?? "anonymous"}");
}
