namespace Quadwalk.Cli;

/// <summary>
/// What <c>quadwalk</c> exits with. All are even: a guest ends with 0 or, through the exit port, with an odd status, so the two
/// cannot be confused.
/// </summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Something that a scenario of <c>quadwalk lab</c> expects did not come true.</summary>
    public const int NotHeld = 2;

    /// <summary>The command line is wrong, or asks for what this host does not have.</summary>
    public const int Usage = 64;

    /// <summary>The image is missing, unreadable or malformed; or there is no scenario of that name.</summary>
    public const int Image = 66;

    /// <summary>An error of Quadwalk, or a guest that asks for what this version cannot do.</summary>
    public const int Internal = 70;

    /// <summary>The output cannot be written.</summary>
    public const int Output = 74;

    /// <summary>The guest's processor shut down.</summary>
    public const int TripleFault = 100;

    /// <summary><c>diff</c> found a difference.</summary>
    public const int Difference = 102;

    /// <summary>The run reached its instruction limit, as <c>timeout</c> reports one of time.</summary>
    public const int Limit = 124;

    /// <summary>SIGINT or SIGTERM.</summary>
    public const int Interrupted = 130;

    /// <summary>The lines under <c>--help</c>.</summary>
    public static IReadOnlyList<(string Code, string Meaning)> Meanings { get; } =
    [
        ("0, odd", "the guest's own status (its low 8 bits); any value from a Linux program, 128 + n after signal n"),
        ("2", "lab: an expectation did not come true"),
        ("64", "wrong usage, or more memory than the host has"),
        ("66", "the image is missing, unreadable or malformed; lab: there is no such scenario"),
        ("70", "an internal error, or a guest this version cannot go on with"),
        ("74", "the output cannot be written"),
        ("100", "triple fault"),
        ("102", "diff found a difference"),
        ("124", "--limit was reached"),
        ("130", "interrupted"),
    ];
}
