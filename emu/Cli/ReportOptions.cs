namespace Quadwalk.Cli;

/// <summary>When, how and where to a command reports.</summary>
/// <param name="After">How many instructions the guest runs first.</param>
/// <param name="Format">The format.</param>
/// <param name="Output">The file, or null for standard output.</param>
internal sealed record ReportOptions(ulong After, ReportFormat Format, string? Output);
