using System.Numerics;
using System.Text.Json;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>A page walk as a JSON object; the help of <c>quadwalk page</c> describes it.</summary>
internal static class PageJson
{
    public static void Write(Stream target, GuestMoment moment, PageFindings findings, string? symbol) => ReportJson.Write(target, json =>
    {
        WriteQuestion(json, moment, findings.Address, findings.Access, findings.State, symbol);
        json.WriteStartArray("steps");
        foreach (WalkStep step in findings.Trace.Steps)
        {
            WriteStep(json, step);
        }

        json.WriteEndArray();
        WriteTranslation(json, findings);
        json.WriteString("memory_type", findings.MemoryType);
        WriteFailure(json, findings.Result, findings.Address, findings.Access, findings.State);
    });

    /// <summary>What was asked, and in which state.</summary>
    public static void WriteQuestion(Utf8JsonWriter json, GuestMoment moment, Gva address, WalkAccess access, in PagingState state, string? symbol)
    {
        json.WriteNumber("instructions", moment.Instructions);
        json.WriteHex("address", address.Value);
        json.WriteString("symbol", symbol);
        json.WriteStartObject("access");
        json.WriteString("kind", access.Kind switch { AccessKind.Read => "read", AccessKind.Write => "write", _ => "fetch" });
        json.WriteBoolean("user", access.IsUser);
        json.WriteEndObject();
        json.WritePaging(state);
    }

    private static void WriteStep(Utf8JsonWriter json, in WalkStep step)
    {
        json.WriteStartObject();
        json.WriteNumber("level", step.Level);
        json.WriteString("name", WalkDescription.LevelName(step.Level));
        json.WriteHex("entry_address", step.Address.Value);
        json.WriteHex("entry", step.Before.Raw);
        json.WriteFlags("flags", step.Before, step.Level);
        if (step.Before.P)
        {
            json.WriteStartObject("rights");
            json.WriteRights(step.Rights);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("rights");
        }

        json.WriteFlags("sets", new PageTableEntry(step.After.Raw & ~step.Before.Raw), step.Level);
        json.WriteEndObject();
    }

    private static void WriteTranslation(Utf8JsonWriter json, PageFindings findings)
    {
        if (findings.Place is not { } place)
        {
            json.WriteNull("translation");
            return;
        }

        ulong size = 1UL << findings.Result.PageShift;
        json.WriteStartObject("translation");
        json.WriteHex("gpa", findings.Result.Gpa.Value);
        json.WriteHex("page", findings.Result.Gpa.Value & ~(size - 1));
        json.WriteHex("page_size", size);
        json.WriteRights(findings.Result.Rights);
        json.WritePlace(place);
        json.WriteEndObject();
    }

    /// <summary>The fault of a walk, or null.</summary>
    public static void WriteFailure(Utf8JsonWriter json, in WalkResult result, Gva address, WalkAccess access, in PagingState state)
    {
        if (result.Succeeded)
        {
            json.WriteNull("failure");
            return;
        }

        bool canonical = result.Failure != WalkFailure.NonCanonical;
        json.WriteStartObject("failure");
        json.WriteString("rule", JsonNamingPolicy.SnakeCaseLower.ConvertName(result.Failure.ToString()));
        json.WriteNumber("vector", canonical ? 14 : 13);
        json.WriteHex("error_code", canonical ? (uint)result.ErrorCode : 0);
        if (canonical)
        {
            json.WriteNumber("level", result.Level);
            json.WriteHex("entry_address", result.EntryAddress.Value);
            json.WriteHex("entry", result.Entry.Raw);
        }

        json.WriteStartArray("bits");
        for (ulong rest = Bits(result); rest != 0; rest &= rest - 1)
        {
            json.WriteNumberValue(BitOperations.TrailingZeroCount(rest));
        }

        json.WriteEndArray();
        json.WriteString("text", WalkDescription.Describe(result, address, access, state));
        json.WriteEndObject();
    }

    /// <summary>The bits of the entry that the failure is about; none where it is about the address, the memory, or a key's register.</summary>
    private static ulong Bits(in WalkResult result) => result.Failure switch
    {
        WalkFailure.NotPresent => PageTableEntry.PBit,
        WalkFailure.ReservedBits => result.ReservedMask,
        WalkFailure.WriteToReadOnlyPage => PageTableEntry.RWBit,
        WalkFailure.ExecuteOfNoExecutePage => PageTableEntry.NXBit,
        WalkFailure.UserAccessToSupervisorPage or WalkFailure.SupervisorExecuteOfUserPage or WalkFailure.SupervisorAccessToUserPage
            or WalkFailure.SupervisorShadowStackAccessToUserPage => PageTableEntry.USBit,
        WalkFailure.ShadowStackAccessToOtherPage => PageTableEntry.RWBit | PageTableEntry.DBit,
        WalkFailure.ForbiddenByProtectionKey => 15UL << 59,
        _ => 0,
    };
}
