using System.Globalization;
using System.Text;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What page tables map, as lines for a person.</summary>
internal static class MemText
{
    private const string NotScanned = "not looked at";

    public static void Write(Stream target, GuestMoment moment, MemFindings findings)
    {
        using StreamWriter output = new(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 12, leaveOpen: true) { NewLine = "\n" };
        output.WriteLine(moment.Sentence);
        if (findings.State.Mode == PagingMode.None)
        {
            output.WriteLine("Paging is off (CR0.PG is 0): each linear address is the guest-physical one, and no table says more.");
            return;
        }

        output.WriteLine($"{PagingText.ModeName(findings.State.Mode)} paging, CR3 0x{findings.State.Cr3:x}");
        if (findings.Frame is { } frame)
        {
            output.WriteLine($"Frame {frame.Address}: {frame}");
        }

        output.WriteLine();
        WriteList(output, findings);
        foreach (string line in Conclusion(findings))
        {
            output.WriteLine(line);
        }
    }

    /// <summary>What there is in all, and what of it was left out.</summary>
    public static IEnumerable<string> Conclusion(MemFindings findings)
    {
        string where = findings.Window is { } window ? $" between {window.First} and {window.Last}" : "";
        (string one, string several) = findings.Ranges is not null ? ("range", "ranges") : findings.Pages is not null ? ("page", "pages") : ("address", "addresses");
        yield return findings switch
        {
            { Ranges: not null } => $"{PagingText.Count(findings.Total, one, several)}{where}: {PagingText.Pages(findings.Counts.Pages, findings.State.Mode)}.",
            { Pages: not null } => $"{PagingText.Pages(findings.Counts.Pages, findings.State.Mode)}{where}.",
            { Total: 0 } => $"Frame {findings.Frame!.Address} is not mapped{where}.",
            _ => $"Frame {findings.Frame!.Address} is mapped at {PagingText.Count(findings.Total, one, several)}{where}.",
        };
        if (findings.LeftOut != 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture, $"Left out: {findings.LeftOut:N0} of {PagingText.Count(findings.Total, one, several)}, for --limit {findings.Limit}.");
        }

        if (!findings.IsComplete)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture, $"There are more than {AddressSpaceMap.MostTables:N0} tables: the rest was not looked at and is not counted.");
        }
    }

    private static void WriteList(TextWriter output, MemFindings findings)
    {
        if (findings.Total == 0)
        {
            return;
        }

        if (findings.Ranges is { } ranges)
        {
            output.WriteLine("first               last                size      rights");
            foreach (MappedRange range in ranges)
            {
                output.WriteLine(
                    $"0x{range.Addresses.First.Value:x16}  0x{range.Addresses.Last.Value:x16}  {PagingText.Size(range.Addresses),-8}  {(range.IsScanned ? PagingText.Rights(range.Rights) : NotScanned)}");
            }
        }
        else
        {
            output.WriteLine($"{(findings.Frame is null ? "address " : "frame at")}            guest-physical  size   level  entry at        value               flags                          rights");
            foreach (MappedPage page in findings.Pages ?? findings.Mappings!)
            {
                ulong inPage = findings.Frame is { } frame ? frame.Address.Value - page.Gpa.Value : 0;
                output.WriteLine(
                    $"0x{page.Gva.Value + inPage:x16}  0x{page.Gpa.Value:x12}  {PagingText.Size(1UL << page.PageShift),-5}  {WalkDescription.LevelName(page.Level),-5}  0x{page.EntryAddress.Value:x12}  {page.Entry}  {EntryFlags.Format(page.Entry, page.Level)}  {PagingText.Rights(page.Rights)}");
            }
        }

        output.WriteLine();
    }
}
