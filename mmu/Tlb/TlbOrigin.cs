using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The translation that a host-address entry was made from.</summary>
internal readonly struct TlbOrigin
{
    /// <summary>The bits of key 0 in a set of keys: of user pages and of supervisor pages.</summary>
    public const uint KeyZero = 1 | (1 << SupervisorKeys);

    private const int SupervisorKeys = 16;

    public TlbOrigin(ulong page, ulong linear, ulong host, Gpa frame, in WalkResult walk)
    {
        Page = page;
        Linear = linear;
        Host = host;
        Frame = frame;
        Rights = walk.Rights;
        Shift = (byte)walk.PageShift;
        KeyBit = 1u << (walk.Entry.ProtectionKey + ((walk.Rights & PageRights.User) != 0 ? 0 : SupervisorKeys));
    }

    /// <summary>The page as the fast path sees it, with metadata in its upper bits where pointers have some.</summary>
    public ulong Page { get; }

    /// <summary>The page's linear address.</summary>
    public ulong Linear { get; }

    /// <summary>The host address of the frame.</summary>
    public ulong Host { get; }

    /// <summary>The frame.</summary>
    public Gpa Frame { get; }

    /// <summary>The protection key: bit k of a user page, bit 16 + k of a supervisor page.</summary>
    public uint KeyBit { get; }

    public PageRights Rights { get; }

    /// <summary>log2 of the size of the page that this is a piece of; 0 where there is nothing.</summary>
    public byte Shift { get; }

    public bool IsValid => Shift != 0;

    public bool IsGlobal => (Rights & PageRights.Global) != 0;

    /// <summary>Whether what was derived from one stands for the other; D may have been set meanwhile.</summary>
    public bool IsSameTranslation(in TlbOrigin other) =>
        Page == other.Page && Linear == other.Linear && Host == other.Host && Shift == other.Shift && KeyBit == other.KeyBit
        && ((Rights ^ other.Rights) & ~PageRights.Dirty) == 0;
}
