namespace Quadwalk.GuestMemory;

/// <summary>The scenarios that the model has, in the order of the rows of the host-memory table.</summary>
public static class LabCatalog
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<LabScenario> All { get; } = [.. Lists().OrderBy(scenario => scenario.Row)];

    private static IEnumerable<LabScenario> Lists() =>
    [
        .. FrameScenarios.All,
        .. GupScenarios.All,
        .. LookupOutcomeScenarios.All,
        .. MovingScenarios.All,
        .. SecondStageScenarios.All,
        .. PfnCacheScenarios.All,
        .. GuestMemfdScenarios.All,
        .. DirtyLogScenarios.All,
        .. DirectMapScenarios.All,
        .. AccessScenarios.All,
        .. RealScenarios.All,
    ];
}
