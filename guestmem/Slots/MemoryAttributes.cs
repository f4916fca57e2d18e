namespace Quadwalk.GuestMemory;

/// <summary>Which guest frames are private, as the VMM has said (KVM_SET_MEMORY_ATTRIBUTES).</summary>
public sealed class MemoryAttributes
{
    private readonly Dictionary<ulong, ulong> words = [];

    /// <summary>How many frames are private.</summary>
    public long PrivateFrames { get; private set; }

    /// <summary>Whether a frame is private.</summary>
    public bool IsPrivate(Gfn gfn) => (words.GetValueOrDefault(gfn.Value / 64) >> (int)(gfn.Value % 64) & 1) != 0;

    /// <summary>Whether all frames of a range are alike.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    public bool IsUniform(Gfn first, ulong count)
    {
        bool one = IsPrivate(first);
        for (ulong i = 1; i < count; i++)
        {
            if (IsPrivate(new Gfn(first.Value + i)) != one)
            {
                return false;
            }
        }

        return true;
    }

    internal void Set(Gfn first, ulong count, bool isPrivate)
    {
        for (ulong gfn = first.Value; gfn < first.Value + count; gfn++)
        {
            if (IsPrivate(new Gfn(gfn)) == isPrivate)
            {
                continue;
            }

            ulong word = words.GetValueOrDefault(gfn / 64) ^ (1UL << (int)(gfn % 64));
            PrivateFrames += isPrivate ? 1 : -1;
            if (word == 0)
            {
                words.Remove(gfn / 64);
            }
            else
            {
                words[gfn / 64] = word;
            }
        }
    }
}
