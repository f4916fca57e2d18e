namespace Quadwalk.Tests;

/// <summary>Writes a <see cref="Sweep"/> down.</summary>
internal sealed class SweepBuilder(string name, SweepWords start)
{
    private readonly List<Axis> axes = [];
    private readonly List<(int Axis, int Value)[]> exclusions = [];

    /// <summary>An axis of two values: 0, and 1 which flips bits. A bit that is set at the start can be called by what 0 makes it.</summary>
    public SweepBuilder Flag(string name, Slot slot, ulong bits, string zero = "0", string one = "1") =>
        Choice(name, (zero, []), (one, [(slot, bits)]));

    /// <summary>An axis with any values, each with the bits it flips.</summary>
    public SweepBuilder Choice(string name, params (string Value, (Slot Slot, ulong Bits)[] Flips)[] values)
    {
        SweepWords[] effects = new SweepWords[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            foreach ((Slot slot, ulong bits) in values[i].Flips)
            {
                effects[i][slot] ^= bits;
            }
        }

        axes.Add(new Axis(name, [.. values.Select(value => value.Value)], effects));
        return this;
    }

    /// <summary>Leaves out a combination, such as "PDE.PS=0 PDE.13=1".</summary>
    public SweepBuilder Exclude(string combination)
    {
        exclusions.Add([.. Parse(combination)]);
        return this;
    }

    /// <summary>Leaves out every two of these combinations together, in one state.</summary>
    public SweepBuilder AtMostOne(params string[] combinations)
    {
        for (int second = 0; second < combinations.Length; second++)
        {
            for (int first = 0; first < second; first++)
            {
                (int Axis, int Value)[] both = [.. Parse(combinations[first]).Union(Parse(combinations[second]))];
                if (both.DistinctBy(term => term.Axis).Count() == both.Length)
                {
                    exclusions.Add(both);
                }
            }
        }

        return this;
    }

    public Sweep Build() => new(name, start, [.. axes], exclusions);

    private IEnumerable<(int Axis, int Value)> Parse(string combination)
    {
        foreach (string term in combination.Split(' '))
        {
            string[] sides = term.Split('=');
            int axis = axes.FindIndex(axis => axis.Name == sides[0]);
            yield return (axis, axes[axis].IndexOf(sides[1]));
        }
    }
}
