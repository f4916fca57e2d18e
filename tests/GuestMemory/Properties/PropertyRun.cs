using System.Globalization;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A random history of a length, and what went wrong in it.</summary>
/// <param name="Options">The world.</param>
/// <param name="Steps">The most steps.</param>
internal sealed record PropertyRun(WorldOptions Options, long Steps)
{
    /// <summary>The history as a test parameter, for <see cref="Parse"/>.</summary>
    public string Key => string.Create(
        CultureInfo.InvariantCulture,
        $"{Options.Seed}:{Options.Actors}:{Steps}:{(int)Options.Behavior}:{(int)Options.Faults}:{Options.Invariants}:{(Options.Large ? 1 : 0)}:{Options.Mix.Name}");

    /// <summary>Reads what <see cref="Key"/> wrote.</summary>
    public static PropertyRun Parse(string key)
    {
        string[] parts = key.Split(':');
        ulong[] numbers = [.. parts[..7].Select(part => ulong.Parse(part, CultureInfo.InvariantCulture))];
        WorldOptions options = new()
        {
            Seed = numbers[0],
            Actors = (int)numbers[1],
            Behavior = (KernelBehavior)numbers[3],
            Faults = (InjectedFaults)numbers[4],
            Invariants = (uint)numbers[5],
            Large = numbers[6] != 0,
            Mix = WorldMix.Of(parts[7]),
        };
        return new PropertyRun(options, (long)numbers[2]);
    }

    /// <summary>The invariant that failed, or null.</summary>
    /// <param name="problem">What went wrong and how it came to that, for people.</param>
    public int? Failure(out string problem)
    {
        using RandomWorld world = new(Options);
        if (world.Run(Steps))
        {
            problem = "";
            return null;
        }

        (int number, string text) = world.Failure!.Value;
        string sentence = Invariant.All().FirstOrDefault(invariant => invariant.Number == number)?.ToString() ?? "The model went wrong";
        problem = $"{sentence}\n{text}\nseed {Options.Seed}, step {world.Steps}, the last steps:\n{world.Recent}replay: --filter Name=Replay -- 'TestRunParameters.Parameter(name=\"world\", value=\"{(this with { Steps = world.Steps }).Key}\")'";
        return number;
    }

    /// <summary>A history with fewer actors, of the same seed, that fails in no more steps; this one if there is none.</summary>
    /// <param name="steps">After how many steps this one fails.</param>
    public PropertyRun Shrink(long steps)
    {
        PropertyRun best = this with { Steps = steps };
        for (int actors = 1; actors < Options.Actors; actors++)
        {
            using RandomWorld world = new(Options with { Actors = actors });
            if (!world.Run(best.Steps))
            {
                best = new PropertyRun(world.Options, world.Steps);
            }
        }

        return best;
    }
}
