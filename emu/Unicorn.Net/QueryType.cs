namespace Unicorn.Net;

/// <summary>What <see cref="UnicornEngine.Query"/> can be asked.</summary>
public enum QueryType
{
    /// <summary>The mode in force.</summary>
    Mode = 1,

    /// <summary>The size of a page in bytes.</summary>
    PageSize = 2,

    /// <summary>The architecture.</summary>
    Architecture = 3,

    /// <summary>1 if the last run ended because its time was up.</summary>
    Timeout = 4,
}
