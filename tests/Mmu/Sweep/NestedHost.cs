using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Host memory of the words that one nested walk may use.</summary>
internal readonly struct NestedHost : IHostTableMemory
{
    public const int Slots = 40;

    private readonly ulong[] addresses = new ulong[Slots];
    private readonly ulong[] words = new ulong[Slots];

    public NestedHost() => Array.Fill(addresses, ulong.MaxValue);

    public ulong[] Addresses => addresses;

    public ulong[] Words => words;

    public bool TryRead(Hpa address, out ulong value)
    {
        int slot = Find(address);
        value = slot < 0 ? 0 : words[slot];
        return slot >= 0;
    }

    public bool TryWrite(Hpa address, ulong value) => throw new InvalidOperationException($"A walker stored at {address}.");

    public bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged)
    {
        int slot = Find(address);
        exchanged = slot >= 0 && words[slot] == expected;
        if (exchanged)
        {
            words[slot] = desired;
        }

        return slot >= 0;
    }

    private int Find(Hpa address)
    {
        if ((address.Value & 7) != 0 || address.Value >> 52 != 0)
        {
            throw new InvalidOperationException($"A walker asked for an entry at {address}.");
        }

        int slot = NestedLayout.SlotAt(address.Value);
        return addresses[slot] == address.Value ? slot : -1;
    }
}
