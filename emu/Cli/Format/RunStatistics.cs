using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>What a run did. The counts are exact; the time is this host's.</summary>
internal sealed partial record RunStatistics
{
    public required ulong Instructions { get; init; }

    public required ulong Walks { get; init; }

    public required ulong TlbHits { get; init; }

    public required ulong TlbMisses { get; init; }

    public required ulong MmioExits { get; init; }

    public required ulong Exceptions { get; init; }

    public required double Seconds { get; init; }

    public required double Mips { get; init; }

    /// <summary>Why the run ended, in snake case.</summary>
    public required string Stop { get; init; }

    public required int ExitCode { get; init; }

    public static RunStatistics Of(CpuCounters counters, TimeSpan elapsed, StopReport report, int exitCode) => new()
    {
        Instructions = counters.Instructions,
        Walks = counters.Walks,
        TlbHits = counters.TlbHits,
        TlbMisses = counters.TlbMisses,
        MmioExits = counters.MmioExits,
        Exceptions = counters.Exceptions,
        Seconds = Math.Round(elapsed.TotalSeconds, 6),
        Mips = Math.Round(MillionsPerSecond(counters.Instructions, elapsed), 3),
        Stop = JsonNamingPolicy.SnakeCaseLower.ConvertName(report.Reason.ToString()),
        ExitCode = exitCode,
    };

    /// <summary>The line of a run that goes on: <c>1.234 G instructions, 56.7 MIPS</c>.</summary>
    public static string Summarize(ulong instructions, TimeSpan elapsed) => string.Create(
        CultureInfo.InvariantCulture, $"{instructions / 1e9:0.000} G instructions, {MillionsPerSecond(instructions, elapsed):0.0} MIPS");

    /// <summary>All of it, as lines for a person or one line for a program.</summary>
    public string Format(StatsFormat format) => format == StatsFormat.Json
        ? JsonSerializer.Serialize(this, StatisticsJson.Default.RunStatistics)
        : string.Create(
            CultureInfo.InvariantCulture,
            $"""
             instructions  {Instructions,15:N0}
             walks         {Walks,15:N0}
             TLB hits      {TlbHits,15:N0}
             TLB misses    {TlbMisses,15:N0}
             MMIO exits    {MmioExits,15:N0}
             exceptions    {Exceptions,15:N0}
             seconds       {Seconds,15:N3}
             MIPS          {Mips,15:N1}
             stop          {Stop,15}
             exit code     {ExitCode,15}
             """);

    private static double MillionsPerSecond(ulong instructions, TimeSpan elapsed) =>
        elapsed > TimeSpan.Zero ? instructions / elapsed.TotalSeconds / 1e6 : 0;

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
    [JsonSerializable(typeof(RunStatistics))]
    private sealed partial class StatisticsJson : JsonSerializerContext;
}
