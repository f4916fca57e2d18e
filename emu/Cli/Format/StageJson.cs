using System.Text.Json;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>A walk of both stages as a JSON object; the help of <c>quadwalk page</c> describes it.</summary>
internal static class StageJson
{
    public static void Write(Stream target, GuestMoment moment, StageFindings findings, string? symbol) => ReportJson.Write(target, json =>
    {
        PageJson.WriteQuestion(json, moment, findings.Address, findings.Access, findings.State, symbol);
        json.WriteStartObject("eptp");
        json.WriteHex("value", findings.Eptp.Raw);
        json.WriteNumber("levels", findings.Eptp.Levels);
        json.WriteString("memory_type", MemoryTypeEncoding.Name(findings.Eptp.MemoryType));
        json.WriteHex("root", findings.Eptp.Root.Value);
        json.WriteEndObject();
        json.WriteStartArray("steps");
        foreach (StageStep step in findings.Steps)
        {
            WriteStep(json, step);
        }

        json.WriteEndArray();
        WriteTranslation(json, findings);
        json.WriteString("memory_type", findings.MemoryType);
        if (findings.Result.GuestFaults)
        {
            PageJson.WriteFailure(json, findings.Result.Guest, findings.Address, findings.Access, findings.State);
        }
        else
        {
            json.WriteNull("failure");
        }

        WriteExit(json, findings);
    });

    private static void WriteStep(Utf8JsonWriter json, StageStep located)
    {
        NestedWalkStep step = located.Step;
        json.WriteStartObject();
        json.WriteString("stage", step.IsGuest ? "guest" : "ept");
        json.WriteString("role", step.Role);
        json.WriteNumber("level", step.Level);
        json.WriteString("name", SecondStageDescription.LevelName(step.Level));
        if (step.IsGuest)
        {
            json.WriteHex("guest_physical", step.Address);
        }
        else
        {
            json.WriteNull("guest_physical");
        }

        if (located.Host is { } host)
        {
            json.WriteHex("host_physical", host.Value);
        }
        else
        {
            json.WriteNull("host_physical");
        }

        json.WriteHex("entry", step.Before);
        if (step.IsGuest)
        {
            json.WriteFlags("flags", new PageTableEntry(step.Before), step.Level);
        }
        else
        {
            json.WriteStartArray("flags");
            foreach (string flag in EptEntryFlags.Names(new EptEntry(step.Before), step.Level))
            {
                json.WriteStringValue(flag);
            }

            json.WriteEndArray();
        }

        json.WriteFlags("sets", new PageTableEntry(step.After & ~step.Before), step.Level);
        json.WriteEndObject();
    }

    private static void WriteTranslation(Utf8JsonWriter json, StageFindings findings)
    {
        NestedWalkResult result = findings.Result;
        if (!result.Succeeded)
        {
            json.WriteNull("translation");
            return;
        }

        json.WriteStartObject("translation");
        json.WriteHex("gpa", result.Gpa.Value);
        json.WriteHex("hpa", result.Hpa.Value);
        json.WriteHex("page_size", 1UL << result.PageShift);
        json.WriteHex("guest_page_size", result.Guest.Level == 0 ? 0 : 1UL << result.Guest.PageShift);
        json.WriteHex("ept_page_size", 1UL << result.SecondStage.PageShift);
        json.WriteRights(result.Rights);
        json.WritePlace(findings.Place!);
        json.WriteEndObject();
    }

    private static void WriteExit(Utf8JsonWriter json, StageFindings findings)
    {
        NestedWalkResult result = findings.Result;
        if (result.Exit == SecondStageExitReason.None)
        {
            json.WriteNull("exit");
            return;
        }

        json.WriteStartObject("exit");
        json.WriteString("reason", SecondStageDescription.ExitName(result.Exit));
        json.WriteNumber("number", (int)result.Exit);
        json.WriteHex("qualification", result.SecondStage.Qualification);
        json.WriteString("qualification_text", StageReport.Names((EptQualification)result.SecondStage.Qualification));
        json.WriteHex("gpa", result.Gpa.Value);
        json.WriteString("cause", findings.Cause);
        json.WritePlace(findings.Place!);
        json.WriteString(
            "text", SecondStageDescription.Describe(result.SecondStage, result.Gpa, result.Access, HostFrames.AddressBits));
        json.WriteEndObject();
    }
}
