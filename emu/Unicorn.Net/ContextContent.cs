namespace Unicorn.Net;

/// <summary>What a context holds.</summary>
[Flags]
public enum ContextContent
{
    /// <summary>The registers.</summary>
    Cpu = 1,

    /// <summary>The mapped memory, copied when it is first written after the context was saved.</summary>
    Memory = 2,
}
