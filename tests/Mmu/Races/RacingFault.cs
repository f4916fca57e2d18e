namespace Quadwalk.Tests;

/// <summary>What is wrong on purpose with how a walk reaches racing memory, to show that the tests notice.</summary>
internal enum RacingFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Flags are set by a plain store, whatever the entry holds by now.</summary>
    PlainStore,

    /// <summary>Flags that could not be set, as the entry had changed, are taken for set.</summary>
    NoRestart,

    /// <summary>Entries are read as they were at the start.</summary>
    StaleRead,
}
