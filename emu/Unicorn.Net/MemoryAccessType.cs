namespace Unicorn.Net;

/// <summary>What a memory hook or a TLB fill was called for.</summary>
public enum MemoryAccessType
{
    /// <summary>A read.</summary>
    Read = 16,

    /// <summary>A write.</summary>
    Write = 17,

    /// <summary>An instruction fetch.</summary>
    Fetch = 18,

    /// <summary>A read where no memory is mapped.</summary>
    ReadUnmapped = 19,

    /// <summary>A write where no memory is mapped.</summary>
    WriteUnmapped = 20,

    /// <summary>A fetch where no memory is mapped.</summary>
    FetchUnmapped = 21,

    /// <summary>A write the permissions forbid.</summary>
    WriteProtected = 22,

    /// <summary>A read the permissions forbid.</summary>
    ReadProtected = 23,

    /// <summary>A fetch the permissions forbid.</summary>
    FetchProtected = 24,

    /// <summary>A read that is done, with its value.</summary>
    ReadAfter = 25,
}
