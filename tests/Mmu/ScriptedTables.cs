using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Tables in which something else acts just before each compare-and-swap, as another processor or a device would.</summary>
internal readonly struct ScriptedTables(SparseTables tables, ScriptedTables.Script script) : ITableMemory
{
    public bool TryRead(Gpa entry, out ulong value)
    {
        script.Reads++;
        return tables.TryRead(entry, out value);
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        script.Exchanges++;
        script.BeforeExchange(script.Exchanges, tables);
        exchanged = false;
        return script.Writable && tables.TryCompareExchange(entry, expected, desired, out exchanged);
    }

    internal sealed class Script(Action<int, SparseTables> beforeExchange)
    {
        public Action<int, SparseTables> BeforeExchange { get; } = beforeExchange;

        public bool Writable { get; init; } = true;

        public int Reads { get; set; }

        public int Exchanges { get; set; }
    }
}
