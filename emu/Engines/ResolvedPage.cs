using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Where an access leads, and what the same translation allows beside it.</summary>
/// <param name="gpa">The guest-physical address of the byte.</param>
/// <param name="host">Where that byte lies.</param>
/// <param name="rights">What the current privilege may do there with the D flag as it is.</param>
/// <param name="keeps">Whether the page's other accesses mean the same address, so that the translation may be kept.</param>
internal readonly struct ResolvedPage(Gpa gpa, ulong host, (bool Readable, bool Writable) rights, bool keeps)
{
    /// <summary>The guest-physical address of the byte.</summary>
    public Gpa Gpa { get; } = gpa;

    /// <summary>The host's frame.</summary>
    public ulong Frame { get; } = host & ~PageSize.Mask4K;

    /// <summary>Whether data may be read there.</summary>
    public bool Readable { get; } = rights.Readable;

    /// <summary>Whether data may be written there without another walk, and without code being overwritten unseen.</summary>
    public bool Writable { get; } = rights.Writable;

    /// <summary>Whether the translation may be kept.</summary>
    public bool Keeps { get; } = keeps;
}
