using System.Text.Json;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What page tables map, as a JSON object; the help of <c>quadwalk mem</c> describes it.</summary>
internal static class MemJson
{
    private const int FlushEvery = 256;

    public static void Write(Stream target, GuestMoment moment, MemFindings findings) => ReportJson.Write(target, json =>
    {
        json.WriteNumber("instructions", moment.Instructions);
        json.WritePaging(findings.State);
        if (findings.Window is { } window)
        {
            json.WriteStartObject("window");
            json.WriteHex("first", window.First.Value);
            json.WriteHex("last", window.Last.Value);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("window");
        }

        if (findings.Frame is { } frame)
        {
            json.WriteStartObject("frame");
            json.WriteHex("gpa", frame.Address.Value);
            json.WritePlace(frame);
            json.WriteEndObject();
        }

        ulong listed = WriteList(json, findings);
        json.WriteStartObject("total");
        WriteTotal(json, findings);
        json.WriteEndObject();
        json.WriteNumber("listed", listed);
        json.WriteNumber("left_out", findings.LeftOut);
        json.WriteBoolean("complete", findings.IsComplete);
    });

    private static ulong WriteList(Utf8JsonWriter json, MemFindings findings)
    {
        ulong listed = 0;
        json.WriteStartArray(findings.Ranges is not null ? "ranges" : findings.Pages is not null ? "pages" : "mappings");
        foreach (MappedRange range in findings.Ranges ?? [])
        {
            WriteRange(json, range);
            Flush(json, ++listed);
        }

        foreach (MappedPage page in findings.Pages ?? findings.Mappings ?? [])
        {
            WritePage(json, page, findings.Frame);
            Flush(json, ++listed);
        }

        json.WriteEndArray();
        return listed;
    }

    private static void WriteRange(Utf8JsonWriter json, in MappedRange range)
    {
        json.WriteStartObject();
        json.WriteHex("first", range.Addresses.First.Value);
        json.WriteHex("last", range.Addresses.Last.Value);
        json.WriteHex("size", range.Addresses.Span + 1);
        json.WriteRights(range.Rights);
        json.WriteBoolean("scanned", range.IsScanned);
        json.WriteEndObject();
    }

    private static void WritePage(Utf8JsonWriter json, in MappedPage page, FramePlace? frame)
    {
        json.WriteStartObject();
        if (frame is not null)
        {
            json.WriteHex("address", page.Gva.Value + (frame.Address.Value - page.Gpa.Value));
        }

        json.WriteHex("gva", page.Gva.Value);
        json.WriteHex("gpa", page.Gpa.Value);
        json.WriteHex("size", 1UL << page.PageShift);
        json.WriteNumber("level", page.Level);
        json.WriteHex("entry_address", page.EntryAddress.Value);
        json.WriteHex("entry", page.Entry.Raw);
        json.WriteFlags("flags", page.Entry, page.Level);
        json.WriteRights(page.Rights);
        json.WriteEndObject();
    }

    private static void WriteTotal(Utf8JsonWriter json, MemFindings findings)
    {
        if (findings.Frame is not null)
        {
            json.WriteNumber("mappings", findings.Total);
            return;
        }

        PageCounts pages = findings.Counts.Pages;
        json.WriteNumber("ranges", findings.Counts.Ranges);
        json.WriteNumber("pages", pages.Total);
        json.WriteNumber("pages_4k", pages.Small);
        json.WriteNumber("pages_large", pages.Large);
        json.WriteNumber("pages_1g", pages.Huge);
        json.WriteHex("mapped", PagingText.Bytes(pages, findings.State.Mode));
    }

    private static void Flush(Utf8JsonWriter json, ulong listed)
    {
        if (listed % FlushEvery == 0)
        {
            json.Flush();
        }
    }
}
