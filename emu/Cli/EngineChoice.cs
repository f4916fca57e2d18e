using Quadwalk.Emulation;
using Quadwalk.Mmu;
using Unicorn.Net;

namespace Quadwalk.Cli;

/// <summary>Which engine was asked for.</summary>
internal sealed record EngineChoice
{
    public EngineKind Kind { get; init; }

    /// <summary>The file of libunicorn, or null for the system's.</summary>
    public string? UnicornPath { get; init; }

    /// <summary>The errata that may show.</summary>
    public IReadOnlyCollection<EngineErratum> Tolerated { get; init; } = [];

    /// <summary>Sees whether the host and the other options allow it.</summary>
    /// <exception cref="CommandException">They do not.</exception>
    public void Require(TlbMode tlb)
    {
        if (Kind != EngineKind.Unicorn)
        {
            return;
        }

        if (tlb != TlbMode.Fast)
        {
            throw CommandException.Usage("--engine unicorn has a TLB of its own: leave --tlb out, or the engine");
        }

        try
        {
            UnicornLibrary.Load(UnicornPath);
        }
        catch (UnicornLibraryException e)
        {
            throw CommandException.Usage($"--engine unicorn: {e.Message}, or give its file with --unicorn PATH");
        }
        catch (Exception e) when (e is InvalidOperationException or PlatformNotSupportedException)
        {
            throw CommandException.Usage($"--engine unicorn: {e.Message}");
        }
    }
}
