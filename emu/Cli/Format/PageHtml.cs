using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Quadwalk.Cli.HtmlDocument;

namespace Quadwalk.Cli;

/// <summary>A page walk as an HTML file: its steps, its outcome, and the tables with the entries it used highlighted.</summary>
internal static class PageHtml
{
    public static void Write(Stream target, GuestMoment moment, PageFindings findings, TableGraph? graph, string image, string name)
    {
        string title = $"{PageReport.Capitalize(WalkDescription.AccessName(findings.Access))} at {name}";
        HtmlDocument.Write(target, $"{title} in {image}", output =>
        {
            output.WriteLine($"<header><h1>{Escape(title)}</h1><p>{Escape(image)}. {Escape(moment.Sentence)} {Escape(PagingText.ModeName(findings.State.Mode))} paging. {Escape(PagingText.Registers(findings.State))}.</p></header>");
            WriteOutcome(output, findings);
            WriteSteps(output, findings);
            if (graph is not null)
            {
                WalkTrace trace = findings.Trace;
                new TablesPicture(output, graph, trace.Steps).Write();
            }
        });
    }

    private static void WriteOutcome(TextWriter output, PageFindings findings)
    {
        WalkResult result = findings.Result;
        string sentence = WalkDescription.Describe(result, findings.Address, findings.Access, findings.State);
        if (findings.Place is not { } place)
        {
            output.WriteLine($"<div class=\"box fault\" id=\"outcome\"><b>Faults: {Escape(PageReport.Fault(result))}</b><p>{Escape(sentence)}</p></div>");
            return;
        }

        ulong size = 1UL << result.PageShift;
        string page = result.Level == 0 ? "" : $" {PagingText.Size(size)} page at 0x{result.Gpa.Value & ~(size - 1):x}, {PagingText.Rights(result.Rights)}.";
        output.WriteLine($"<div class=\"box\" id=\"outcome\"><b>Guest-physical {result.Gpa}</b><p>{Escape(sentence)}{page}</p><p>{Escape(place.ToString())}</p>{(findings.MemoryType is { } type ? $"<p>Memory type: {Escape(type)}</p>" : "")}</div>");
    }

    private static void WriteSteps(TextWriter output, PageFindings findings)
    {
        WalkTrace trace = findings.Trace;
        if (trace.Steps.IsEmpty)
        {
            return;
        }

        output.WriteLine("<section id=\"walk\"><h2>Walk</h2><div class=\"scroll\"><table><tr><th>step</th><th>level</th><th>rights so far</th><th>flags</th><th>entry at</th><th>value</th><th>sets</th></tr>");
        int number = 0;
        foreach (WalkStep step in trace.Steps)
        {
            Gpa table = TableOf(findings, step);
            string rights = step.Before.P ? TablesPicture.Chip(step.Rights) : "none: not present";
            string sets = string.Join(' ', EntryFlags.Names(new PageTableEntry(step.After.Raw & ~step.Before.Raw), step.Level));
            bool blamed = !findings.Result.Succeeded && step.Address == findings.Result.EntryAddress && step.Level == findings.Result.Level;
            output.WriteLine(
                $"<tr><td>{++number}</td><td>{WalkDescription.LevelName(step.Level)}</td><td>{rights}{(blamed ? " \u2190 faults here" : "")}</td><td>{string.Join(' ', EntryFlags.Names(step.Before, step.Level))}</td><td><a href=\"#{TablesPicture.Anchor(table)}\">{step.Address}</a></td><td>{step.Before}</td><td>{(sets.Length == 0 ? "\u2013" : sets)}</td></tr>");
        }

        output.WriteLine("</table></div></section>");
    }

    /// <summary>The table that holds an entry; that of the PDPTEs of PAE paging has 32 bytes.</summary>
    private static Gpa TableOf(PageFindings findings, in WalkStep step) =>
        findings.State.Mode == PagingMode.Pae && step.Level == 3
            ? PdpteRegisters.AddressOf(findings.State.Cr3, 0)
            : new Gpa(step.Address.Value & ~(ulong)PageSize.Mask4K);
}
