using System.Globalization;

namespace Quadwalk.GuestMemory;

/// <summary>One access of guest code: eight bytes, at a multiple of eight.</summary>
/// <param name="Gpa">Where; without meaning for one through a cache of frames.</param>
/// <param name="IsWrite">Whether it writes.</param>
/// <param name="Value">What it writes.</param>
/// <param name="AsPrivate">The guest takes the memory for private.</param>
/// <param name="Cache">A cache of frames whose frame the VMCS names, and that the access goes through; null: it goes through the second stage.</param>
public readonly record struct GuestAccess(Gpa Gpa, bool IsWrite, ulong Value = 0, bool AsPrivate = false, GfnToPfnCache? Cache = null)
{
    /// <summary>A read.</summary>
    public static GuestAccess Read(Gpa gpa, bool asPrivate = false) => new(gpa, false, 0, asPrivate);

    /// <summary>A write.</summary>
    public static GuestAccess Write(Gpa gpa, ulong value, bool asPrivate = false) => new(gpa, true, value, asPrivate);

    /// <summary>A read of the page that a cache of frames shows, as nested virtualization makes it.</summary>
    public static GuestAccess Read(GfnToPfnCache cache) => new(default, false, Cache: cache);

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{(IsWrite ? "write" : "read")} {(Cache is null ? Gpa.ToString() : "by its VMCS")}{(AsPrivate ? " (private)" : "")}");
}
