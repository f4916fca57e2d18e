namespace Unicorn.Net;

/// <summary>How an engine translates addresses.</summary>
public enum TlbType
{
    /// <summary>As the emulated processor does, by page tables in guest memory.</summary>
    Cpu = 0,

    /// <summary>By <see cref="HookHandler.OnTlbFill"/>; one to one where there is no such hook.</summary>
    Virtual = 1,
}
