using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The symbols of an image in ascending order of address. It never changes.</summary>
/// <remarks>
/// Names stay in the image's string table and become strings when asked for, so that a hostile table in which many symbols
/// share one long name costs no more memory than its file.
/// </remarks>
public sealed class SymbolTable
{
    private const int LongestName = 1024;

    private readonly Entry[] entries;
    private readonly int[] enclosing;
    private readonly ReadOnlyMemory<byte> names;

    internal SymbolTable(Entry[] entries, ReadOnlyMemory<byte> names)
    {
        Array.Sort(entries);
        this.entries = entries;
        this.names = names;
        enclosing = FindEnclosing(entries);
    }

    /// <summary>The table without symbols.</summary>
    public static SymbolTable Empty { get; } = new([], default);

    /// <summary>The number of symbols.</summary>
    public int Count => entries.Length;

    /// <summary>The symbol at <paramref name="index"/> in ascending order of address.</summary>
    public Symbol this[int index]
    {
        get
        {
            ref readonly Entry entry = ref entries[index];
            return new Symbol(ReadName(entry.Name), new Gva(entry.Address), entry.Size, entry.IsFunction);
        }
    }

    /// <summary>
    /// Names <paramref name="address"/> by the innermost symbol that covers it. A symbol without a size reaches to the next
    /// symbol or the end of its segment. Of symbols at one address, functions come first, then sized, then global ones.
    /// </summary>
    public bool TryResolve(Gva address, out SymbolLocation location)
    {
        int index = UpperBound(address.Value) - 1;
        if (index >= 0 && !entries[index].Reaches(address.Value))
        {
            do
            {
                index = enclosing[index];
            }
            while (index >= 0 && !entries[index].Covers(address.Value));
        }

        location = index < 0 ? default : new SymbolLocation(this[index], address.Value - entries[index].Address);
        return index >= 0;
    }

    /// <summary>Finds the first symbol called <paramref name="name"/>.</summary>
    public bool TryFind(string name, out Symbol symbol)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        byte[] wanted = [.. Encoding.UTF8.GetBytes(name), 0];
        for (int i = 0; i < entries.Length; i++)
        {
            if (names.Span[(int)entries[i].Name..].StartsWith(wanted))
            {
                symbol = this[i];
                return true;
            }
        }

        symbol = default;
        return false;
    }

    private static int[] FindEnclosing(Entry[] entries)
    {
        int[] enclosing = new int[entries.Length];
        for (int i = 0; i < entries.Length; i++)
        {
            int candidate = i - 1;
            while (candidate >= 0 && !entries[candidate].Covers(entries[i].Address))
            {
                candidate = enclosing[candidate];
            }

            enclosing[i] = candidate;
        }

        return enclosing;
    }

    private int UpperBound(ulong address)
    {
        int low = 0;
        for (int high = entries.Length; low < high;)
        {
            int middle = (low + high) / 2;
            (low, high) = entries[middle].Address <= address ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    // A name may hold terminal control sequences; traces print it.
    private string ReadName(uint offset)
    {
        ReadOnlySpan<byte> name = names.Span[(int)offset..];
        name = name[..Math.Min(LongestName, name.Length)];
        int end = name.IndexOf((byte)0);
        string text = Encoding.UTF8.GetString(end < 0 ? name : name[..end]);
        return string.Create(text.Length, text, (span, source) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = char.IsControl(source[i]) ? '?' : source[i];
            }
        });
    }

    /// <summary>A symbol in a table; <paramref name="Room"/> is the distance to the end of its segment.</summary>
    internal readonly record struct Entry(ulong Address, ulong Size, ulong Room, uint Name, bool IsFunction, bool IsGlobal)
        : IComparable<Entry>
    {
        public bool Covers(ulong address) => address - Address < Size;

        public bool Reaches(ulong address) => address - Address < (Size == 0 ? Room : Size);

        public int CompareTo(Entry other) =>
            (Address, IsFunction, Size != 0, IsGlobal, ~Name).CompareTo(
                (other.Address, other.IsFunction, other.Size != 0, other.IsGlobal, ~other.Name));
    }
}
