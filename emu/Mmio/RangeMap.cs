using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.Emulation;

/// <summary>Disjoint address ranges in ascending order, each with what answers there.</summary>
internal sealed class RangeMap<T>
    where T : class
{
    private Range[] ranges = [];
    private int lastHit;

    public ReadOnlySpan<Range> Ranges => ranges;

    /// <summary>Adds a range; throws when it is empty, wraps, or meets another one.</summary>
    public void Add(ulong first, ulong size, T value)
    {
        ulong last = first + (size - 1);
        if (size == 0 || last < first)
        {
            ThrowBadRange(first, size);
        }

        int index = UpperBound(first);
        if (index > 0 && ranges[index - 1].Last >= first)
        {
            ThrowOverlap(first, last, ranges[index - 1]);
        }

        if (index < ranges.Length && ranges[index].First <= last)
        {
            ThrowOverlap(first, last, ranges[index]);
        }

        ranges = [.. ranges[..index], new Range(first, last, value), .. ranges[index..]];
        lastHit = index;
    }

    /// <summary>Removes the range of a value; false when it has none.</summary>
    public bool Remove(T value)
    {
        int index = Array.FindIndex(ranges, range => ReferenceEquals(range.Value, value));
        if (index < 0)
        {
            return false;
        }

        ranges = [.. ranges[..index], .. ranges[(index + 1)..]];
        lastHit = 0;
        return true;
    }

    /// <summary>Whether any range meets <paramref name="size"/> bytes from <paramref name="first"/>.</summary>
    public bool Meets(ulong first, ulong size)
    {
        int next = UpperBound(first);
        return (next > 0 && ranges[next - 1].Last >= first) || (next < ranges.Length && ranges[next].First - first < size);
    }

    /// <summary>
    /// Finds the range that holds <paramref name="address"/>. Where there is none, <paramref name="range"/> covers the gap and
    /// has no value.
    /// </summary>
    public bool TryFind(ulong address, out Range range)
    {
        if (ranges.Length != 0 && ranges[lastHit].Contains(address))
        {
            range = ranges[lastHit];
            return true;
        }

        int next = UpperBound(address);
        if (next > 0 && ranges[next - 1].Contains(address))
        {
            lastHit = next - 1;
            range = ranges[lastHit];
            return true;
        }

        range = new Range(
            next == 0 ? 0 : ranges[next - 1].Last + 1, next == ranges.Length ? ulong.MaxValue : ranges[next].First - 1, null);
        return false;
    }

    private int UpperBound(ulong address)
    {
        int low = 0;
        for (int high = ranges.Length; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = ranges[middle].First <= address ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    [DoesNotReturn]
    private static void ThrowBadRange(ulong first, ulong size) =>
        throw new ArgumentException($"a device range at 0x{first:x} of 0x{size:x} bytes is empty or wraps");

    [DoesNotReturn]
    private static void ThrowOverlap(ulong first, ulong last, Range other) =>
        throw new ArgumentException(
            $"the device range 0x{first:x}..0x{last:x} overlaps 0x{other.First:x}..0x{other.Last:x} of {other.Value}");

    /// <summary>Addresses <paramref name="First"/> to <paramref name="Last"/>, both included.</summary>
    internal readonly record struct Range(ulong First, ulong Last, T? Value)
    {
        public bool Contains(ulong address) => address - First <= Last - First;
    }
}
