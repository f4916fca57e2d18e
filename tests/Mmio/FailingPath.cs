using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>The userspace mapping, but for what a test takes out of its reach; it notes the addresses that were read and written.</summary>
internal sealed class FailingPath(Memslots slots) : IGuestMemoryAccess
{
    private readonly UserspaceMapping inner = new(slots);
    private readonly List<(ulong First, ulong Length)> lost = [];
    private int calls;

    public string Name => "failing";

    /// <summary>Whether writes to what is lost fail alone: reads go on.</summary>
    public bool OnlyWrites { get; set; }

    /// <summary>The call that fails, counted from the last assignment on; 0: none does.</summary>
    public int FailingCall
    {
        get;
        set
        {
            field = value;
            calls = 0;
        }
    }

    /// <summary>Whether <see cref="FailingCall"/> has failed.</summary>
    public bool HasFailed => FailingCall != 0 && calls >= FailingCall;

    /// <summary>The pages that were read or written.</summary>
    public HashSet<ulong> Pages { get; } = [];

    /// <summary>Takes guest-physical memory out of reach.</summary>
    public void Lose(ulong first, ulong length = PageSize.Size4K) => lost.Add((first, length));

    /// <summary>Brings everything within reach again.</summary>
    public void Find() => lost.Clear();

    public GuestAccessStatus Read(Gpa gpa, Span<byte> destination) =>
        Fails(gpa, destination.Length, write: false) ? GuestAccessStatus.Fault : inner.Read(gpa, destination);

    public GuestAccessStatus Write(Gpa gpa, ReadOnlySpan<byte> source) =>
        Fails(gpa, source.Length, write: true) ? GuestAccessStatus.Fault : inner.Write(gpa, source);

    public GuestAccessStatus ReadUInt64(Gpa gpa, out ulong value)
    {
        value = 0;
        return Fails(gpa, sizeof(ulong), write: false) ? GuestAccessStatus.Fault : inner.ReadUInt64(gpa, out value);
    }

    public GuestAccessStatus CompareExchangeUInt64(Gpa gpa, ulong expected, ulong desired, out ulong observed)
    {
        observed = 0;
        return Fails(gpa, sizeof(ulong), write: true)
            ? GuestAccessStatus.Fault
            : inner.CompareExchangeUInt64(gpa, expected, desired, out observed);
    }

    private bool Fails(Gpa gpa, int length, bool write)
    {
        Pages.Add(gpa.Value & ~PageSize.Mask4K);
        bool isLost = lost.Exists(range => gpa.Value < range.First + range.Length && range.First < gpa.Value + (ulong)length);
        return ++calls == FailingCall || (isLost && (write || !OnlyWrites));
    }
}
