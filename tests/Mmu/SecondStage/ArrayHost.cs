using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Host memory in one array from a frame on, whose frames are given out in order; an address that is misaligned is the walker's mistake.</summary>
internal readonly struct ArrayHost(int frames, ulong firstFrame) : ISecondStageFrames
{
    private readonly ulong[] words = new ulong[frames * 512];
    private readonly Stack<ulong> free = new(Descending(frames, firstFrame));

    public ulong[] Words => words;

    public int FreeFrames => free.Count;

    public ref ulong this[ulong address] => ref words[IndexOf(new Hpa(address))];

    public bool TryRead(Hpa address, out ulong value)
    {
        int index = IndexOf(address);
        value = index < 0 ? 0 : Volatile.Read(ref words[index]);
        return index >= 0;
    }

    public bool TryWrite(Hpa address, ulong value)
    {
        int index = IndexOf(address);
        if (index >= 0)
        {
            words[index] = value;
        }

        return index >= 0;
    }

    public bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged)
    {
        int index = IndexOf(address);
        exchanged = index >= 0 && Interlocked.CompareExchange(ref words[index], desired, expected) == expected;
        return index >= 0;
    }

    public bool TryAllocate(out Pfn frame)
    {
        bool found = free.TryPop(out ulong number);
        frame = new Pfn(number);
        if (found)
        {
            Array.Clear(words, (int)(number - firstFrame) * 512, 512);
        }

        return found;
    }

    public void Free(Pfn frame)
    {
        if (free.Contains(frame.Value))
        {
            throw new InvalidOperationException($"Frame {frame} was freed twice.");
        }

        free.Push(frame.Value);
    }

    private static IEnumerable<ulong> Descending(int frames, ulong first) => Enumerable.Range(0, frames).Reverse().Select(i => first + (ulong)i);

    private int IndexOf(Hpa address)
    {
        if ((address.Value & 7) != 0 || address.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"A walker asked for an entry at {address}.");
        }

        ulong word = (address.Value / 8) - (firstFrame * 512);
        return word < (ulong)words.Length ? (int)word : -1;
    }
}
