namespace Quadwalk.GuestMemory;

/// <summary>A guest-virtual (linear) address: what an instruction computes after segmentation.</summary>
public readonly record struct Gva(ulong Value)
{
    /// <summary>The byte offset within a 4 KiB page.</summary>
    public int PageOffset => (int)(Value & PageSize.Mask4K);

    /// <summary>The address <paramref name="bytes"/> further on, wrapping at 2^64.</summary>
    public static Gva operator +(Gva address, ulong bytes) => new(address.Value + bytes);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A guest-physical address: what a page walk yields and a memslot or a device decodes.</summary>
public readonly record struct Gpa(ulong Value)
{
    /// <summary>The frame that holds this address.</summary>
    public Gfn Frame => new(Value >> PageSize.Shift4K);

    /// <summary>The byte offset within a 4 KiB frame.</summary>
    public int PageOffset => (int)(Value & PageSize.Mask4K);

    /// <summary>The address <paramref name="bytes"/> further on, wrapping at 2^64.</summary>
    public static Gpa operator +(Gpa address, ulong bytes) => new(address.Value + bytes);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A guest frame number: a guest-physical address divided by 4096.</summary>
public readonly record struct Gfn(ulong Value)
{
    /// <summary>The address of the frame's first byte.</summary>
    public Gpa Address => new(Value << PageSize.Shift4K);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A host-virtual address: where a byte of guest memory is mapped in this process.</summary>
public readonly record struct Hva(ulong Value)
{
    /// <summary>The frame-sized page that holds this address starts here.</summary>
    public Hva Page => new(Value & ~PageSize.Mask4K);

    /// <summary>The byte offset within a 4 KiB page.</summary>
    public int PageOffset => (int)(Value & PageSize.Mask4K);

    /// <summary>The address <paramref name="bytes"/> further on.</summary>
    public static Hva operator +(Hva address, ulong bytes) => new(address.Value + bytes);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A host-physical address: what a second stage yields for a guest-physical one.</summary>
public readonly record struct Hpa(ulong Value)
{
    /// <summary>The frame that holds this address.</summary>
    public Pfn Frame => new(Value >> PageSize.Shift4K);

    /// <summary>The byte offset within a 4 KiB frame.</summary>
    public int PageOffset => (int)(Value & PageSize.Mask4K);

    /// <summary>The address <paramref name="bytes"/> further on, wrapping at 2^64.</summary>
    public static Hpa operator +(Hpa address, ulong bytes) => new(address.Value + bytes);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A host frame number: a host-physical address divided by 4096.</summary>
public readonly record struct Pfn(ulong Value)
{
    /// <summary>The address of the frame's first byte.</summary>
    public Hpa Address => new(Value << PageSize.Shift4K);

    /// <inheritdoc/>
    public override string ToString() => $"0x{Value:x}";
}
