using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>Where runs of scenarios are written, one after the other.</summary>
internal interface ILabReport : IDisposable
{
    /// <summary>Writes a run, and brings it to where it is read.</summary>
    void Add(LabRun run);

    /// <summary>Writes what comes after the last run.</summary>
    /// <param name="complete">All runs were made that were asked for.</param>
    void End(bool complete);
}
