namespace Quadwalk.GuestMemory;

/// <summary>What holds guest memory on the host.</summary>
public enum HostMemoryKind
{
    /// <summary>A memfd where the host can make one, else anonymous memory. A <see cref="HostMemory"/> never reports this kind.</summary>
    Auto,

    /// <summary>A memfd, mapped shared: it can be mapped as often as there are views of it. Linux only.</summary>
    Memfd,

    /// <summary>Memory of the process, with one address only. Every host has it.</summary>
    Anonymous,
}
