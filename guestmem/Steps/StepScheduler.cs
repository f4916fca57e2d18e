using System.Numerics;

namespace Quadwalk.GuestMemory;

/// <summary>Runs the parties of a scenario in all orders, in a random one, or in a given one.</summary>
public static class StepScheduler
{
    /// <summary>The greatest number of parties in a scenario.</summary>
    public const int MostActors = 32;

    /// <summary>The greatest number of steps in one order; a scenario that takes more goes round in circles.</summary>
    public const int MostSteps = 10_000;

    /// <summary>
    /// Runs a scenario in every order of its steps, but for orders that differ only in neighbouring steps that are independent (sleep
    /// sets, over what the steps say that they read and change).
    /// </summary>
    /// <param name="make">Makes the scenario; each time alike.</param>
    /// <param name="reduce">Leave out orders that can make no difference.</param>
    /// <param name="limit">The most orders to run.</param>
    /// <returns>How many orders were run to their end.</returns>
    /// <exception cref="InterleavingException">A check failed, a party threw, or nobody can go on.</exception>
    /// <exception cref="InvalidOperationException">There are more orders than <paramref name="limit"/>.</exception>
    public static long ExploreAll(Func<Scenario> make, bool reduce = true, long limit = 10_000_000)
    {
        ArgumentNullException.ThrowIfNull(make);
        List<Node> path = [];
        long runs = 0;
        do
        {
            if (runs == limit)
            {
                throw new InvalidOperationException($"more than {limit} interleavings: make the scenario smaller, or sample it");
            }

            using Scenario scenario = make();
            runs += RunPath(scenario, path, reduce) ? 1 : 0;
        }
        while (NextPath(path));

        return runs;
    }

    /// <summary>Runs a scenario in one order, drawn from a seed.</summary>
    /// <param name="scenario">The scenario.</param>
    /// <param name="seed">The same seed gives the same order.</param>
    /// <exception cref="InterleavingException">A check failed, a party threw, or nobody can go on.</exception>
    public static Interleaving RunRandom(Scenario scenario, ulong seed)
    {
        ulong state = seed;
        return Run(scenario, enabled => Pick(enabled, (int)(SplitMix(ref state) % (ulong)BitOperations.PopCount(enabled))), seed);
    }

    /// <summary>Runs a scenario in the order of a failure, and then with the first party that can go on.</summary>
    /// <param name="scenario">The scenario.</param>
    /// <param name="choices">The number of the party for each step; see <see cref="Interleaving.ParseKey"/>.</param>
    /// <exception cref="InterleavingException">A check failed, a party threw, or nobody can go on.</exception>
    /// <exception cref="ArgumentException">The order does not fit the scenario.</exception>
    public static Interleaving Replay(Scenario scenario, IReadOnlyList<int> choices)
    {
        ArgumentNullException.ThrowIfNull(choices);
        int taken = 0;
        return Run(scenario, Next, null);

        int Next(uint enabled)
        {
            if (taken == choices.Count)
            {
                return BitOperations.TrailingZeroCount(enabled);
            }

            int choice = choices[taken++];
            return choice is >= 0 and < MostActors && (enabled >> choice & 1) != 0
                ? choice
                : throw new ArgumentException($"party {choice} cannot take step {taken}: the order is of another scenario", nameof(choices));
        }
    }

    private static Interleaving Run(Scenario scenario, Func<uint, int> choose, ulong? seed)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        Log log = new(scenario, seed);
        while (Enabled(scenario) is uint enabled && enabled != 0)
        {
            log.Take(choose(enabled));
        }

        log.Finish();
        return log.Interleaving;
    }

    /// <summary>
    /// Follows the choices of a path and goes on from its end with first choices. False where the rest is left out because it was run
    /// in another order.
    /// </summary>
    private static bool RunPath(Scenario scenario, List<Node> path, bool reduce)
    {
        Log log = new(scenario, null);
        uint asleep = 0;
        for (int depth = 0; ; depth++)
        {
            uint enabled = Enabled(scenario);
            if (enabled == 0)
            {
                log.Finish();
                return true;
            }

            if (depth == path.Count)
            {
                uint open = reduce ? enabled & ~asleep : enabled;
                if (open == 0)
                {
                    return false;
                }

                int first = BitOperations.TrailingZeroCount(open);
                path.Add(new Node { Choice = first, Left = open & ~(1u << first), Asleep = asleep });
            }

            Node node = path[depth];
            asleep = reduce ? StillAsleep(scenario, node) : 0;
            log.Take(node.Choice);
        }
    }

    // Those that were tried before at this point, or sleep already, and do not care for the step that is taken.
    private static uint StillAsleep(Scenario scenario, Node node)
    {
        uint asleep = 0;
        for (uint rest = node.Asleep | node.Tried; rest != 0; rest &= rest - 1)
        {
            int actor = BitOperations.TrailingZeroCount(rest);
            bool independent = Step.Independent(scenario.Actors[actor].Next, scenario.Actors[node.Choice].Next);
            asleep |= independent ? 1u << actor : 0;
        }

        return asleep;
    }

    private static bool NextPath(List<Node> path)
    {
        while (path.Count > 0)
        {
            Node node = path[^1];
            if (node.Left != 0)
            {
                int choice = BitOperations.TrailingZeroCount(node.Left);
                path[^1] = node with { Tried = node.Tried | (1u << node.Choice), Choice = choice, Left = node.Left & ~(1u << choice) };
                return true;
            }

            path.RemoveAt(path.Count - 1);
        }

        return false;
    }

    private static uint Enabled(Scenario scenario)
    {
        uint enabled = 0;
        for (int i = 0; i < scenario.Actors.Count; i++)
        {
            enabled |= scenario.Actors[i].IsEnabled ? 1u << i : 0;
        }

        return enabled;
    }

    private static int Pick(uint set, int index)
    {
        for (; index > 0; index--)
        {
            set &= set - 1;
        }

        return BitOperations.TrailingZeroCount(set);
    }

    private static ulong SplitMix(ref ulong state)
    {
        ulong z = state += 0x9e37_79b9_7f4a_7c15;
        z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
        return z ^ (z >> 31);
    }

    private readonly record struct Node(int Choice, uint Left, uint Tried, uint Asleep);

    private sealed class Log
    {
        private readonly Scenario scenario;
        private readonly ulong? seed;
        private readonly List<int> choices = [];
        private readonly List<(string Actor, string Step)> taken = [];

        public Log(Scenario scenario, ulong? seed)
        {
            if (scenario.Actors.Count is 0 or > MostActors)
            {
                throw new ArgumentException($"a scenario has 1 to {MostActors} parties", nameof(scenario));
            }

            this.scenario = scenario;
            this.seed = seed;
        }

        public Interleaving Interleaving => new(choices, taken);

        public void Take(int choice)
        {
            Actor actor = scenario.Actors[choice];
            choices.Add(choice);
            taken.Add((actor.Name, actor.Next.Name));
            if (choices.Count > MostSteps)
            {
                choices.RemoveRange(100, choices.Count - 100);
                taken.RemoveRange(100, taken.Count - 100);
                throw new InterleavingException($"no end after {MostSteps} steps; the first 100 are", Interleaving, seed);
            }

            try
            {
                actor.Go();
            }
            catch (Exception e) when (e is not InterleavingException)
            {
                throw new InterleavingException($"{actor.Name}: {e.GetType().Name}: {e.Message}", Interleaving, seed, e);
            }

            Require(scenario.Always());
        }

        public void Finish()
        {
            string[] stuck = [.. scenario.Actors.Where(actor => !actor.IsDone).Select(actor => $"{actor.Name} before '{actor.Next.Name}'")];
            Require(stuck.Length == 0 ? null : $"nobody can go on: {string.Join(", ", stuck)}");
            Require(scenario.AtEnd());
            Require(scenario.Afterwards());
        }

        private void Require(string? problem)
        {
            if (problem is not null)
            {
                throw new InterleavingException(problem, Interleaving, seed);
            }
        }
    }
}
