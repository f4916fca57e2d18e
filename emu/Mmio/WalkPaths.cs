using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// Any access path as a struct, so that the page walker is compiled for it alone: of type arguments that are classes or interfaces all share one
/// body, which looks up at each call what it is for.
/// </summary>
internal readonly struct AnyPath(IGuestMemoryAccess path) : IGuestMemoryAccess
{
    /// <inheritdoc/>
    public string Name => path.Name;

    /// <inheritdoc/>
    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination) => path.Read(gpa, destination);

    /// <inheritdoc/>
    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source) => path.Write(gpa, source);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value) => path.ReadUInt64(gpa, out value);

    /// <inheritdoc/>
    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed) =>
        path.CompareExchangeUInt64(gpa, expected, desired, out observed);
}

/// <summary>The userspace mapping in the same way, with its calls bound at compile time.</summary>
internal readonly struct UserspaceWalk(UserspaceMapping path) : IGuestMemoryAccess
{
    /// <inheritdoc/>
    public string Name => path.Name;

    /// <inheritdoc/>
    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination) => path.Read(gpa, destination);

    /// <inheritdoc/>
    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source) => path.Write(gpa, source);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value) => path.ReadUInt64(gpa, out value);

    /// <inheritdoc/>
    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed) =>
        path.CompareExchangeUInt64(gpa, expected, desired, out observed);
}
