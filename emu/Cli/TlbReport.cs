using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What the TLBs of a machine hold and did.</summary>
internal sealed partial record TlbReport
{
    private static readonly TlbContext[] Contexts = Enum.GetValues<TlbContext>();
    private static readonly int[] Shifts = [12, 21, 22, 30];

    /// <summary>Why the run ended, in snake case.</summary>
    public required string Stop { get; init; }

    public required string Mode { get; init; }

    public required IReadOnlyList<Processor> Processors { get; init; }

    public static TlbReport Of(Machine machine, StopReport report) => new()
    {
        Stop = Snake(report.Reason.ToString()),
        Mode = Snake(machine.Options.Tlb.ToString()),
        Processors = [.. machine.Cpus.Select(Of)],
    };

    public string ToJson() => JsonSerializer.Serialize(this, TlbJson.Readable.TlbReport);

    public void Write(TextWriter output)
    {
        foreach (Processor processor in Processors)
        {
            string number = Processors.Count == 1 ? "" : $"Processor {processor.Number}: ";
            output.WriteLine($"{number}TLB {Mode}, PCID {processor.Pcid}, after {Number(processor.Instructions)} instructions ({Stop})");
            output.WriteLine("linear                                   pages  size  PCID   rights  frame");
            foreach (Range range in processor.Translations)
            {
                string pcid = range.Global ? "-" : range.Pcid;
                output.WriteLine($"{range.First,-18} - {range.Last,-18} {Number((ulong)range.Pages),6} {SizeName(range.PageSize),5}  {pcid,-5}  {range.Rights,-6}  {range.Frame}");
            }

            output.WriteLine();
            if (processor.Structures.Count != 0)
            {
                output.WriteLine("cached   linear from         PCID   rights  lies at         entry");
                foreach (Structure entry in processor.Structures)
                {
                    output.WriteLine($"{entry.Level,-7}  {entry.First,-18}  {entry.Pcid,-5}  {entry.Rights,-6}  {entry.Address,-14}  {entry.Entry}");
                }

                output.WriteLine();
            }

            foreach (Count count in processor.Counts)
            {
                output.WriteLine($"{count.Name,-40}{Number(count.Value),16}");
            }
        }
    }

    private static Processor Of(Vcpu cpu) => new()
    {
        Number = (int)cpu.ApicId,
        Pcid = Hex(cpu.Tlb.Pcid),
        Instructions = cpu.Counters.Instructions,
        Translations = Merge(cpu.Tlb.Contents()),
        Structures = [.. cpu.Tlb.StructureContents().Select(Of)],
        Counts = CountsOf(cpu),
    };

    private static Structure Of(CachedTableEntry entry) => new()
    {
        Level = EntryNames.OfLevel(entry.Level),
        First = Hex(entry.First.Value),
        Pcid = Hex(entry.Pcid),
        Rights = RightsOf(entry.Rights),
        Address = Hex(entry.Address.Value),
        Entry = entry.Entry.ToString(),
    };

    private static List<Range> Merge(IReadOnlyList<CachedTranslation> entries)
    {
        List<Range> merged = [];
        for (int i = 0; i < entries.Count;)
        {
            CachedTranslation first = entries[i];
            ulong size = 1UL << first.PageShift;
            ulong pages = 1;
            while (i + (int)pages < entries.Count && entries[i + (int)pages] == first with { Page = first.Page + (pages * size), Frame = first.Frame + (pages * size) })
            {
                pages++;
            }

            merged.Add(new Range
            {
                First = Hex(first.Page.Value),
                Last = Hex(first.Page.Value + (pages * size) - 1),
                Pages = (int)pages,
                PageSize = size,
                Pcid = Hex(first.Pcid),
                Global = first.IsGlobal,
                Rights = RightsOf(first.Rights),
                Frame = Hex(first.Frame.Value),
            });
            i += (int)pages;
        }

        return merged;
    }

    private static List<Count> CountsOf(Vcpu cpu)
    {
        TlbStatistics tlb = cpu.Tlb.Statistics;
        List<Count> counts =
        [
            new("data accesses", cpu.Counters.DataAccesses),
            new("data accesses that hit", cpu.Counters.TlbHits),
            new("walks", tlb.Walks),
            new("entries read by walks", tlb.EntriesRead),
        ];
        foreach (TlbContext context in Contexts)
        {
            string who = Words(context.ToString());
            foreach (int shift in Shifts)
            {
                string what = $"{SizeName(1UL << shift)} {who}";
                AddIf(counts, $"lookups that hit, {what}", tlb.Hits(context, shift));
                AddIf(counts, $"fills, {what}", tlb.Fills(context, shift));
                AddIf(counts, $"host addresses cached, {what}", tlb.HostFills(context, shift));
                AddIf(counts, $"host addresses evicted, {what}", tlb.HostEvictions(context, shift));
            }

            AddIf(counts, $"lookups that missed, {who}", tlb.Misses(context));
        }

        foreach (int shift in Shifts)
        {
            AddIf(counts, $"evictions, {SizeName(1UL << shift)}", tlb.Evictions(shift));
        }

        foreach (TlbFlushCause cause in Enum.GetValues<TlbFlushCause>())
        {
            AddIf(counts, $"flushes, {Words(cause.ToString())}", tlb.Flushes(cause));
        }

        for (int level = TlbStatistics.WalkLevels - 1; level > 1; level--)
        {
            AddIf(counts, $"walks below a cached {EntryNames.OfLevel(level)}", tlb.StructureHits(level));
        }

        AddIf(counts, "stale uses", tlb.StaleUses);
        return counts;
    }

    private static void AddIf(List<Count> counts, string name, ulong value)
    {
        if (value != 0)
        {
            counts.Add(new Count(name, value));
        }
    }

    private static string RightsOf(PageRights rights) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Letter(rights, PageRights.User, 'u')}{Letter(rights, PageRights.Write, 'w')}{((rights & PageRights.NoExecute) == 0 ? 'x' : '-')}{Letter(rights, PageRights.Dirty, 'd')}{Letter(rights, PageRights.Global, 'G')}");

    private static char Letter(PageRights rights, PageRights asked, char letter) => (rights & asked) != 0 ? letter : '-';

    private static string SizeName(ulong size) => size >= PageSize.Size1G ? $"{size >> 30}G" : size >= 1 << 20 ? $"{size >> 20}M" : $"{size >> 10}K";

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    private static string Number(ulong value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Snake(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    private static string Words(string name) => Snake(name).Replace('_', ' ');

    /// <summary>One processor.</summary>
    internal sealed record Processor
    {
        public required int Number { get; init; }

        public required string Pcid { get; init; }

        public required ulong Instructions { get; init; }

        public required IReadOnlyList<Range> Translations { get; init; }

        public required IReadOnlyList<Structure> Structures { get; init; }

        public required IReadOnlyList<Count> Counts { get; init; }
    }

    /// <summary>Translations next to each other.</summary>
    internal sealed record Range
    {
        public required string First { get; init; }

        public required string Last { get; init; }

        public required int Pages { get; init; }

        public required ulong PageSize { get; init; }

        public required string Pcid { get; init; }

        public required bool Global { get; init; }

        public required string Rights { get; init; }

        public required string Frame { get; init; }
    }

    /// <summary>A cached entry of a paging structure.</summary>
    internal sealed record Structure
    {
        public required string Level { get; init; }

        public required string First { get; init; }

        public required string Pcid { get; init; }

        public required string Rights { get; init; }

        public required string Address { get; init; }

        public required string Entry { get; init; }
    }

    /// <summary>How often something happened.</summary>
    internal sealed record Count(string Name, ulong Value);

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
    [JsonSerializable(typeof(TlbReport))]
    private sealed partial class TlbJson : JsonSerializerContext
    {
        public static TlbJson Readable { get; } = new(new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        });
    }
}
