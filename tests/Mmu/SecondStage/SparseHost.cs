using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Host memory of a handful of 64-bit words at chosen addresses, which refuses addresses no walker may ask for.</summary>
internal readonly struct SparseHost(int capacity) : IHostTableMemory
{
    private readonly ulong[] addresses = Enumerable.Repeat(ulong.MaxValue, capacity).ToArray();
    private readonly ulong[] words = new ulong[capacity];
    private readonly Counters counters = new();

    public Span<ulong> Words => words;

    public Span<ulong> Addresses => addresses;

    public Counters Counts => counters;

    public bool TryRead(Hpa address, out ulong value)
    {
        counters.Reads++;
        int index = IndexOf(address);
        value = index < 0 ? 0 : words[index];
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
        counters.BeforeExchange?.Invoke(++counters.Exchanges);
        exchanged = index >= 0 && words[index] == expected;
        if (exchanged)
        {
            words[index] = desired;
        }

        return index >= 0;
    }

    private int IndexOf(Hpa address)
    {
        if ((address.Value & 7) != 0 || address.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"A walker asked for an entry at {address}.");
        }

        return Array.IndexOf(addresses, address.Value);
    }

    internal sealed class Counters
    {
        public int Reads { get; set; }

        public int Exchanges { get; set; }

        public Action<int>? BeforeExchange { get; set; }
    }
}
