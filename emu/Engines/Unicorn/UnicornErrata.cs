namespace Quadwalk.Emulation;

/// <summary>
/// Where libunicorn 2.1 departs from the processor in instructions that it could execute. The interpreter executes those, unless their erratum is
/// tolerated: then Unicorn does, and what it gets wrong stands.
/// </summary>
public static class UnicornErrata
{
    /// <summary>SSE arithmetic leaves no exception flags in MXCSR.</summary>
    public static EngineErratum MxcsrFlags { get; } = new(
        "mxcsr-flags",
        "SSE arithmetic sets no exception flags in MXCSR",
        "each operation sets the flags of the exceptions it found (SDM Vol. 1, 10.2.3.1)",
        "https://github.com/unicorn-engine/unicorn/issues/2006");

    /// <summary>Legacy SSE takes misaligned operands.</summary>
    public static EngineErratum SseAlignment { get; } = new(
        "sse-alignment",
        "legacy SSE instructions take a 16-byte memory operand at any address",
        "#GP(0) where it is not a multiple of 16 (SDM Vol. 2A, 2.4)",
        "https://github.com/unicorn-engine/unicorn/issues/1783");

    /// <summary>All of them.</summary>
    public static IReadOnlyList<EngineErratum> All { get; } = [MxcsrFlags, SseAlignment];

    /// <summary>The erratum of a name, or null.</summary>
    /// <param name="name">As in <see cref="EngineErratum.Name"/>.</param>
    public static EngineErratum? Find(string name) => All.FirstOrDefault(erratum => erratum.Name == name);
}
