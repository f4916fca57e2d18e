namespace Quadwalk.Cli;

/// <summary>How a report on page tables is written.</summary>
internal enum ReportFormat
{
    /// <summary>Lines for a person.</summary>
    Text,

    /// <summary>One JSON object for a program.</summary>
    Json,

    /// <summary>One HTML file with a picture of the tables.</summary>
    Html,
}
