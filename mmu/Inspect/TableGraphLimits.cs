namespace Quadwalk.Mmu;

/// <summary>How much of an address space's tables a <see cref="TableGraph"/> has.</summary>
/// <param name="Counted">How many tables are looked for.</param>
/// <param name="Tables">Of how many the entries are shown.</param>
/// <param name="Runs">How many runs of entries are shown in all.</param>
/// <param name="RunsOfTable">How many are shown of one table.</param>
public readonly record struct TableGraphLimits(int Counted, int Tables, int Runs, int RunsOfTable);
