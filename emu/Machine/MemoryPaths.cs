using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The access paths that a machine can be made with.</summary>
public static class MemoryPaths
{
    /// <summary>The process's own mapping of guest memory, as <c>copy_from_user</c> reaches it.</summary>
    public const string Userspace = "userspace";

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Names { get; } = [Userspace];

    /// <summary>Makes the access path of a name.</summary>
    /// <exception cref="ArgumentException">There is none of this name.</exception>
    public static IGuestMemoryAccess Create(string name, Memslots slots) => name switch
    {
        Userspace => new UserspaceMapping(slots),
        _ => throw new ArgumentException($"there is no access path '{name}': use one of {string.Join(", ", Names)}", nameof(name)),
    };
}
