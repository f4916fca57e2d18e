using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// The frames that an engine with a translator of its own has code from, as <see cref="CodeCache"/> knows those of the interpreter: no writes to
/// them pass unseen, and one that overwrites what was translated asks for it to be dropped.
/// </summary>
internal sealed class TranslatedFrames
{
    private readonly Dictionary<ulong, ulong> lines = [];
    private readonly HashSet<ulong> writable = [];

    /// <summary>Whether translated code was overwritten since <see cref="Clear"/>.</summary>
    public bool Overwritten { get; private set; }

    /// <summary>Whether the engine may hold a translation with the right to write to a frame of code.</summary>
    public bool MustWithhold { get; private set; }

    /// <summary>Whether code came from the frame of a host address.</summary>
    public bool HoldsCode(ulong host) => lines.ContainsKey(host & ~PageSize.Mask4K);

    /// <summary>Notes that code may come from a frame; true when it is new.</summary>
    public bool Enlist(ulong frame) => lines.TryAdd(frame, 0);

    /// <summary>Notes that bytes of a frame were translated.</summary>
    public void Translated(ulong host, int length)
    {
        if (length > 0)
        {
            lines[host & ~PageSize.Mask4K] = lines.GetValueOrDefault(host & ~PageSize.Mask4K) | CodeCache.LinesOf((int)(host & PageSize.Mask4K), length);
        }
    }

    /// <summary>Notes that the engine got the right to write to a frame.</summary>
    public void Granted(ulong frame) => writable.Add(frame);

    /// <summary>To be told of the first code in a frame, whoever has it.</summary>
    public void Withhold(ulong frame) => MustWithhold |= writable.Contains(frame);

    /// <summary>To be told of each write to guest memory, which lies in one page.</summary>
    public void Written(ulong host, int length)
    {
        if (length > 0 && lines.TryGetValue(host & ~PageSize.Mask4K, out ulong translated))
        {
            Overwritten |= (translated & CodeCache.LinesOf((int)(host & PageSize.Mask4K), length)) != 0;
        }
    }

    /// <summary>The engine dropped its translations of addresses.</summary>
    public void Revoked()
    {
        writable.Clear();
        MustWithhold = false;
    }

    /// <summary>The engine dropped its code.</summary>
    public void Clear()
    {
        lines.Clear();
        Overwritten = false;
    }
}
