using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>A bit for each of the 256 vectors: IRR, ISR and TMR (SDM Vol. 3A, 12.8.4).</summary>
internal struct VectorSet
{
    private Words words;

    [InlineArray(4)]
    private struct Words
    {
        private ulong first;
    }

    /// <summary>The highest vector in the set, or -1.</summary>
    public readonly int Highest
    {
        get
        {
            for (int i = 3; i >= 0; i--)
            {
                if (words[i] != 0)
                {
                    return i * 64 + BitOperations.Log2(words[i]);
                }
            }

            return -1;
        }
    }

    public readonly bool Contains(int vector) => (words[vector >> 6] >> (vector & 63) & 1) != 0;

    public void Add(int vector) => words[vector >> 6] |= 1UL << (vector & 63);

    public void Remove(int vector) => words[vector >> 6] &= ~(1UL << (vector & 63));

    public void Set(int vector, bool value)
    {
        if (value)
        {
            Add(vector);
        }
        else
        {
            Remove(vector);
        }
    }

    /// <summary>Vectors 32n to 32n + 31, as the register of that number shows them.</summary>
    public readonly uint Register(int number) => (uint)(words[number >> 1] >> ((number & 1) * 32));
}
