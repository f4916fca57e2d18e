namespace Quadwalk.Tests;

/// <summary>How a <see cref="WalkCase"/> ended.</summary>
/// <param name="Vector">The exception, or -1.</param>
/// <param name="Address">The physical address reached, or CR2 of a page fault.</param>
/// <param name="Entries">The entries after it, by level.</param>
internal readonly record struct WalkOutcome(int Vector, ulong Address, ulong[] Entries)
{
    public bool Equals(WalkOutcome other) => Vector == other.Vector && Address == other.Address && Entries.AsSpan().SequenceEqual(other.Entries);

    public override int GetHashCode() => HashCode.Combine(Vector, Address);

    public override string ToString() =>
        $"{(Vector < 0 ? "reaches" : $"vector {Vector},")} {Address:x}, " + string.Join(' ', Entries.Select((entry, level) => $"L{level}={entry:x}").Skip(1).Reverse());
}
