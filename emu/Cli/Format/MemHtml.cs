using Quadwalk.Mmu;
using static Quadwalk.Cli.HtmlDocument;

namespace Quadwalk.Cli;

/// <summary>What page tables map, as an HTML file: the list, and a picture of the tables.</summary>
internal static class MemHtml
{
    public static void Write(Stream target, GuestMoment moment, MemFindings findings, TableGraph? graph, string image) =>
        HtmlDocument.Write(target, $"{image}: what is mapped", output =>
        {
            output.WriteLine($"<header><h1>{Escape(image)}: what is mapped</h1><p>{Escape(moment.Sentence)} {Escape(PagingText.ModeName(findings.State.Mode))} paging, CR3 0x{findings.State.Cr3:x}.</p></header>");
            if (graph is null)
            {
                output.WriteLine("<p class=\"box\">Paging is off (CR0.PG is 0): each linear address is the guest-physical one.</p>");
                return;
            }

            output.WriteLine($"<div class=\"box\">{string.Concat(MemText.Conclusion(findings).Select(line => $"<p>{Escape(line)}</p>"))}</div>");
            if (findings.Frame is { } frame)
            {
                output.WriteLine($"<p>Frame {frame.Address}: {Escape(frame.ToString())}</p>");
            }

            new TablesPicture(output, graph).Write();
            WriteList(output, findings);
        });

    private static void WriteList(TextWriter output, MemFindings findings)
    {
        bool ranges = findings.Ranges is not null;
        output.WriteLine($"<section id=\"list\"><h2>{(ranges ? "Ranges" : findings.Frame is null ? "Pages" : "Mappings")}</h2>");
        if (findings.Total == 0)
        {
            output.WriteLine("<p>None.</p></section>");
            return;
        }

        output.WriteLine(ranges
            ? "<div class=\"scroll\"><table><tr><th>first</th><th>last</th><th>size</th><th>rights</th></tr>"
            : "<div class=\"scroll\"><table><tr><th>address</th><th>guest-physical</th><th>size</th><th>rights</th><th>level</th><th>entry at</th><th>value</th><th>flags</th></tr>");
        foreach (MappedRange range in findings.Ranges ?? [])
        {
            string rights = range.IsScanned ? TablesPicture.Chip(range.Rights) : "not looked at";
            output.WriteLine($"<tr><td>0x{range.Addresses.First.Value:x16}</td><td>0x{range.Addresses.Last.Value:x16}</td><td>{PagingText.Size(range.Addresses)}</td><td>{rights}</td></tr>");
        }

        foreach (MappedPage page in findings.Pages ?? findings.Mappings ?? [])
        {
            ulong inPage = findings.Frame is { } frame ? frame.Address.Value - page.Gpa.Value : 0;
            output.WriteLine(
                $"<tr><td>0x{page.Gva.Value + inPage:x16}</td><td>{page.Gpa}</td><td>{PagingText.Size(1UL << page.PageShift)}</td><td>{TablesPicture.Chip(page.Rights)}</td><td>{WalkDescription.LevelName(page.Level)}</td><td>{page.EntryAddress}</td><td>{page.Entry}</td><td>{string.Join(' ', EntryFlags.Names(page.Entry, page.Level))}</td></tr>");
        }

        output.WriteLine("</table></div></section>");
    }
}
