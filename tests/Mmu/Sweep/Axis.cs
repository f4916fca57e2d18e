namespace Quadwalk.Tests;

/// <summary>One thing that a sweep varies: a name and its values, of which the first is the state the sweep starts from.</summary>
/// <param name="name">Such as "PTE.W".</param>
/// <param name="values">The names of the values.</param>
/// <param name="effects">The bits that each value flips.</param>
internal sealed class Axis(string name, string[] values, SweepWords[] effects)
{
    private readonly SweepWords[] effects = effects;

    public string Name { get; } = name;

    public IReadOnlyList<string> Values { get; } = values;

    public int Count => effects.Length;

    public ref readonly SweepWords Effect(int value) => ref effects[value];

    /// <summary>The value of a name, which there is.</summary>
    public int IndexOf(string value)
    {
        int index = Array.IndexOf(values, value);
        return index >= 0 ? index : throw new ArgumentException($"{Name} has no value {value}.", nameof(value));
    }
}
