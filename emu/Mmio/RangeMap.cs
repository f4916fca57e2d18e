using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.Emulation;

/// <summary>Disjoint address ranges in ascending order, each with what answers there.</summary>
internal sealed class RangeMap<T>
    where T : class
{
    private Range[] _ranges = [];
    private int _lastHit;

    public ReadOnlySpan<Range> Ranges => _ranges;

    /// <summary>Adds a range; throws when it is empty, wraps, or meets another one.</summary>
    public void Add(ulong first, ulong size, T value)
    {
        ulong last = first + (size - 1);
        if (size == 0 || last < first)
        {
            ThrowBadRange(first, size);
        }

        int index = UpperBound(first);
        if (index > 0 && _ranges[index - 1].Last >= first)
        {
            ThrowOverlap(first, last, _ranges[index - 1]);
        }

        if (index < _ranges.Length && _ranges[index].First <= last)
        {
            ThrowOverlap(first, last, _ranges[index]);
        }

        _ranges = [.. _ranges[..index], new Range(first, last, value), .. _ranges[index..]];
        _lastHit = index;
    }

    /// <summary>
    /// Finds the range that holds <paramref name="address"/>. Where there is none, <paramref name="range"/> covers the gap and
    /// has no value.
    /// </summary>
    public bool TryFind(ulong address, out Range range)
    {
        if (_ranges.Length != 0 && _ranges[_lastHit].Contains(address))
        {
            range = _ranges[_lastHit];
            return true;
        }

        int next = UpperBound(address);
        if (next > 0 && _ranges[next - 1].Contains(address))
        {
            _lastHit = next - 1;
            range = _ranges[_lastHit];
            return true;
        }

        range = new Range(
            next == 0 ? 0 : _ranges[next - 1].Last + 1, next == _ranges.Length ? ulong.MaxValue : _ranges[next].First - 1, null);
        return false;
    }

    private int UpperBound(ulong address)
    {
        int low = 0;
        for (int high = _ranges.Length; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = _ranges[middle].First <= address ? (middle + 1, high) : (low, middle);
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
