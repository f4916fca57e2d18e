namespace Quadwalk.Emulation;

/// <summary>
/// Numbers the code segments that a guest has executed in outside 64-bit mode, so that <see cref="BlockMode"/> tells blocks apart
/// whose instruction pointers agree and whose segments do not.
/// </summary>
internal sealed class CodeSegments
{
    /// <summary>How many are told apart; the mode has bits for as many.</summary>
    public const int Capacity = (1 << 15) - 1;

    private readonly Dictionary<(ulong Base, uint Limit), uint> numbers = [];
    private (ulong Base, uint Limit) last;
    private uint lastNumber;

    /// <summary>Counts how often the numbers started over; blocks decoded under an earlier count must not be used.</summary>
    public int Generation { get; private set; }

    /// <summary>The number of a segment, from 1.</summary>
    public uint NumberOf(in SegmentRegister segment)
    {
        (ulong, uint) key = (segment.Base, segment.Limit);
        if (lastNumber != 0 && key == last)
        {
            return lastNumber;
        }

        if (!numbers.TryGetValue(key, out uint number))
        {
            if (numbers.Count == Capacity)
            {
                numbers.Clear();
                Generation++;
            }

            number = (uint)numbers.Count + 1;
            numbers.Add(key, number);
        }

        last = key;
        lastNumber = number;
        return number;
    }
}
