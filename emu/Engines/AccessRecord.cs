using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>What an instruction did with memory.</summary>
public enum AccessRecordKind
{
    /// <summary>It read.</summary>
    Read,

    /// <summary>It wrote.</summary>
    Write,
}

/// <summary>One data access of an instruction.</summary>
/// <param name="Address">The linear address.</param>
/// <param name="Size">The width in bytes, at most 16 of which <paramref name="Low"/> and <paramref name="High"/> show.</param>
/// <param name="Low">The first eight bytes.</param>
/// <param name="High">The next eight.</param>
/// <param name="Kind">Read or written.</param>
public readonly record struct RecordedAccess(ulong Address, int Size, ulong Low, ulong High, AccessRecordKind Kind);

/// <summary>The data accesses of the instruction being traced; those beyond its capacity are counted only.</summary>
internal sealed class AccessRecord
{
    private const int Capacity = 64;
    private readonly RecordedAccess[] accesses = new RecordedAccess[Capacity];

    /// <summary>How many there were.</summary>
    public int Total { get; private set; }

    /// <summary>Those kept.</summary>
    public ReadOnlySpan<RecordedAccess> Accesses => accesses.AsSpan(0, Math.Min(Total, Capacity));

    /// <summary>Starts over.</summary>
    public void Clear() => Total = 0;

    /// <summary>Adds an access.</summary>
    public void Add<T>(ulong gva, T value, AccessRecordKind kind)
        where T : unmanaged
    {
        if (Total < Capacity)
        {
            Span<ulong> words = stackalloc ulong[2];
            words.Clear();
            Span<byte> bytes = MemoryMarshal.AsBytes(words);
            MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value))[..Math.Min(bytes.Length, Unsafe.SizeOf<T>())].CopyTo(bytes);
            accesses[Total] = new RecordedAccess(gva, Unsafe.SizeOf<T>(), words[0], words[1], kind);
        }

        Total++;
    }
}
