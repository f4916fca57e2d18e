namespace Quadwalk.Tests;

/// <summary>
/// What a page of memory must hold, told from the writes to it alone. A written word is a stamp: the page's number in the upper 24 bits and
/// the number of the write in the lower 40, so that a word tells which page it belongs to and when it was written.
/// </summary>
/// <param name="identity">The page's number, not 0.</param>
internal sealed class ShadowPage(int identity)
{
    private const int SerialBits = 40;

    private ulong writtenAt;

    public int Identity => identity;

    /// <summary>The word that it holds; 0 before the first write.</summary>
    public ulong Value { get; private set; }

    /// <summary>It may hold 0 instead: it was dropped beside the last write.</summary>
    public bool MayBeZero { get; private set; }

    /// <summary>It may hold any stamp of its own, since what it was copied from changed meanwhile.</summary>
    public bool IsUnknown { get; private set; }

    /// <summary>Operations going on that drop it.</summary>
    public int Drops { get; private set; }

    public static int IdentityOf(ulong word) => (int)(word >> SerialBits);

    public static ulong SerialOf(ulong word) => word & ((1UL << SerialBits) - 1);

    public ulong Stamp(ulong serial) => ((ulong)identity << SerialBits) | serial;

    /// <summary>A stamp was written.</summary>
    /// <param name="stamp">The stamp.</param>
    /// <param name="now">The number of the last write in the world; a stamp may have been made before it was written.</param>
    public void Wrote(ulong stamp, ulong now)
    {
        (Value, IsUnknown, writtenAt) = (stamp, false, now);
        MayBeZero = Drops > 0;
    }

    /// <summary>A word was read: whether it may be there. It is what the page holds from then on.</summary>
    public bool Accepts(ulong word)
    {
        bool expected = !IsUnknown && word == Value;
        bool dropped = word == 0 && (MayBeZero || Drops > 0);
        bool unknown = IsUnknown && (word == 0 || IdentityOf(word) == identity);
        if (!(expected || dropped || unknown))
        {
            return false;
        }

        if (Drops == 0)
        {
            (Value, MayBeZero, IsUnknown) = (word, false, false);
        }

        return true;
    }

    public void BeginDrop() => Drops++;

    /// <summary>An operation that drops the page has ended.</summary>
    /// <param name="begun">The number of the last write before it began.</param>
    /// <param name="done">It has dropped the page; else it may have.</param>
    public void EndDrop(ulong begun, bool done)
    {
        Drops--;
        if (done && !IsUnknown && writtenAt <= begun)
        {
            (Value, MayBeZero) = (0, false);
        }
        else
        {
            MayBeZero = true;
        }
    }

    /// <summary>A page that begins as a copy of another.</summary>
    /// <param name="other">The other.</param>
    /// <param name="before">What it held when the copying began.</param>
    public static ShadowPage CopyOf(ShadowPage other, ulong before) => new(other.Identity)
    {
        Value = other.Value,
        writtenAt = other.writtenAt,
        MayBeZero = other.MayBeZero || other.Drops > 0,
        IsUnknown = other.IsUnknown || other.Value != before || other.Drops > 0,
    };

    public override string ToString() => $"page {Identity >> 12}:{Identity & 0xfff}, {(IsUnknown ? "anything of its own" : $"write {SerialOf(Value)}")}{(MayBeZero || Drops > 0 ? " or 0" : "")}";
}
