namespace Quadwalk.Tests;

/// <summary>SplitMix64: a seed gives the same numbers on every machine.</summary>
internal struct WorldRandom(ulong seed)
{
    private ulong state = seed;

    public ulong Next()
    {
        ulong z = state += 0x9e37_79b9_7f4a_7c15;
        z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
        return z ^ (z >> 31);
    }

    /// <summary>A number from 0 up to and without <paramref name="end"/>.</summary>
    public int Below(int end) => (int)(((Next() >> 32) * (ulong)end) >> 32);

    /// <summary>True once in <paramref name="many"/> times.</summary>
    public bool OneIn(int many) => Below(many) == 0;
}
