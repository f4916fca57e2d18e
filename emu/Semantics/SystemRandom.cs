using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>The sequence behind RDRAND and RDSEED: SplitMix64, so that a seed settles every number.</summary>
internal static class RandomSequence
{
    private const ulong Step = 0x9E37_79B9_7F4A_7C15;

    /// <summary>The next number.</summary>
    public static ulong Next(ref ulong state)
    {
        ulong z = state += Step;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}

/// <summary>RDRAND and RDSEED: there is always a number, so CF = 1.</summary>
internal readonly struct ReadRandom<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(RandomSequence.Next(ref cpu.Random)));
        cpu.Flags.Word = Rflags.CF;
        return true;
    }
}
