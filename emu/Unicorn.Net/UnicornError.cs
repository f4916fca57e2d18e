namespace Unicorn.Net;

/// <summary>What libunicorn answers.</summary>
public enum UnicornError
{
    /// <summary>Done.</summary>
    Ok = 0,

    /// <summary>The host has no memory left.</summary>
    NoMemory = 1,

    /// <summary>This build does not know the architecture.</summary>
    Architecture = 2,

    /// <summary>The handle is not valid.</summary>
    Handle = 3,

    /// <summary>The mode does not go with the architecture.</summary>
    Mode = 4,

    /// <summary>Binding and library do not fit.</summary>
    Version = 5,

    /// <summary>A read where no memory is mapped.</summary>
    ReadUnmapped = 6,

    /// <summary>A write where no memory is mapped.</summary>
    WriteUnmapped = 7,

    /// <summary>A fetch where no memory is mapped.</summary>
    FetchUnmapped = 8,

    /// <summary>The kind of hook is not valid.</summary>
    Hook = 9,

    /// <summary>An instruction is not valid.</summary>
    InvalidInstruction = 10,

    /// <summary>The mapping is not valid.</summary>
    Map = 11,

    /// <summary>A write the permissions forbid.</summary>
    WriteProtected = 12,

    /// <summary>A read the permissions forbid.</summary>
    ReadProtected = 13,

    /// <summary>A fetch the permissions forbid.</summary>
    FetchProtected = 14,

    /// <summary>An argument is not valid.</summary>
    Argument = 15,

    /// <summary>An unaligned read.</summary>
    ReadUnaligned = 16,

    /// <summary>An unaligned write.</summary>
    WriteUnaligned = 17,

    /// <summary>An unaligned fetch.</summary>
    FetchUnaligned = 18,

    /// <summary>There is a hook for this event already.</summary>
    HookExists = 19,

    /// <summary>The host has too little of something.</summary>
    Resource = 20,

    /// <summary>The processor raised an exception that no hook handled.</summary>
    Exception = 21,

    /// <summary>The buffer is too small for the register.</summary>
    Overflow = 22,
}
