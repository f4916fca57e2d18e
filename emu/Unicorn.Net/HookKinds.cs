namespace Unicorn.Net;

/// <summary>The events a hook can be for. One hook may be for several that lead to the same method of <see cref="HookHandler"/>.</summary>
[Flags]
public enum HookKinds
{
    /// <summary>Exceptions and interrupts: <see cref="HookHandler.OnInterrupt"/>.</summary>
    Interrupt = 1 << 0,

    /// <summary>An instruction that <see cref="UnicornEngine.AddInstructionHook"/> names.</summary>
    Instruction = 1 << 1,

    /// <summary>Each instruction: <see cref="HookHandler.OnCode"/>.</summary>
    Code = 1 << 2,

    /// <summary>Each basic block: <see cref="HookHandler.OnBlock"/>.</summary>
    Block = 1 << 3,

    /// <summary>Reads of unmapped memory: <see cref="HookHandler.OnInvalidMemory"/>.</summary>
    ReadUnmapped = 1 << 4,

    /// <summary>Writes to unmapped memory.</summary>
    WriteUnmapped = 1 << 5,

    /// <summary>Fetches from unmapped memory.</summary>
    FetchUnmapped = 1 << 6,

    /// <summary>Reads that permissions forbid.</summary>
    ReadProtected = 1 << 7,

    /// <summary>Writes that permissions forbid.</summary>
    WriteProtected = 1 << 8,

    /// <summary>Fetches that permissions forbid.</summary>
    FetchProtected = 1 << 9,

    /// <summary>Reads: <see cref="HookHandler.OnMemory"/>.</summary>
    Read = 1 << 10,

    /// <summary>Writes.</summary>
    Write = 1 << 11,

    /// <summary>Fetches.</summary>
    Fetch = 1 << 12,

    /// <summary>Reads, with their values.</summary>
    ReadAfter = 1 << 13,

    /// <summary>Invalid instructions: <see cref="HookHandler.OnInvalidInstruction"/>.</summary>
    InvalidInstruction = 1 << 14,

    /// <summary>New edges between translated blocks: <see cref="HookHandler.OnEdge"/>.</summary>
    EdgeGenerated = 1 << 15,

    /// <summary>An operation that <see cref="UnicornEngine.AddTcgOpcodeHook"/> names.</summary>
    TcgOpcode = 1 << 16,

    /// <summary>Misses of the virtual TLB: <see cref="HookHandler.OnTlbFill"/>.</summary>
    TlbFill = 1 << 17,

    /// <summary>Every access to unmapped memory.</summary>
    Unmapped = ReadUnmapped | WriteUnmapped | FetchUnmapped,

    /// <summary>Every access that permissions forbid.</summary>
    Protected = ReadProtected | WriteProtected | FetchProtected,

    /// <summary>Every access that fails.</summary>
    InvalidMemory = Unmapped | Protected,

    /// <summary>Every access that succeeds.</summary>
    Memory = Read | Write | Fetch,
}
