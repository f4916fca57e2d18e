using System.Text.Encodings.Web;
using System.Text.Json;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>What the JSON reports on page tables have in common.</summary>
internal static class ReportJson
{
    /// <summary>How all of them are laid out.</summary>
    public static JsonWriterOptions Layout { get; } = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes one object and a newline.</summary>
    public static void Write(Stream target, Action<Utf8JsonWriter> body)
    {
        using (Utf8JsonWriter json = new(target, Layout))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }

        target.WriteByte((byte)'\n');
    }

    /// <summary>Writes a number as <c>"0x1f"</c>.</summary>
    public static void WriteHex(this Utf8JsonWriter json, string name, ulong value) => json.WriteString(name, $"0x{value:x}");

    /// <summary>The paging mode and the registers that a walk depends on.</summary>
    public static void WritePaging(this Utf8JsonWriter json, in PagingState state)
    {
        json.WriteStartObject("paging");
        json.WriteString("mode", PagingText.ModeName(state.Mode));
        json.WriteHex("cr0", state.Cr0);
        json.WriteHex("cr3", state.Cr3);
        json.WriteHex("cr4", state.Cr4);
        json.WriteHex("efer", state.Efer);
        json.WriteHex("pkru", state.Pkru);
        json.WriteHex("pkrs", state.Pkrs);
        json.WriteBoolean("ac", state.AlignmentCheck);
        json.WriteNumber("max_physical_address_bits", state.PhysicalAddressBits);
        if (state.Mode == PagingMode.Pae)
        {
            json.WriteStartArray("pdptes");
            for (int i = 0; i < PdpteRegisters.Count; i++)
            {
                json.WriteStringValue($"0x{state.Pdptes[i]:x}");
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    /// <summary>U/S, R/W and NX combined, as three properties.</summary>
    public static void WriteRights(this Utf8JsonWriter json, PageRights rights)
    {
        json.WriteBoolean("user", (rights & PageRights.User) != 0);
        json.WriteBoolean("write", (rights & PageRights.Write) != 0);
        json.WriteBoolean("execute", (rights & PageRights.NoExecute) == 0);
    }

    /// <summary>The names of the flags that are 1.</summary>
    public static void WriteFlags(this Utf8JsonWriter json, string name, PageTableEntry entry, int level)
    {
        json.WriteStartArray(name);
        foreach (string flag in EntryFlags.Names(entry, level))
        {
            json.WriteStringValue(flag);
        }

        json.WriteEndArray();
    }

    /// <summary>What answers at a guest-physical address: a memslot, a device, or neither.</summary>
    public static void WritePlace(this Utf8JsonWriter json, FramePlace place)
    {
        if (place.Slot is { } slot)
        {
            json.WriteStartObject("slot");
            json.WriteNumber("id", slot.Id);
            json.WriteHex("first", slot.Base.Value);
            json.WriteHex("last", slot.End.Value - 1);
            json.WriteBoolean("writable", slot.IsWritable);
            json.WriteHex("offset", place.Offset);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("slot");
        }

        if (place.Device is { } region)
        {
            json.WriteStartObject("device");
            json.WriteString("name", region.Device.GetType().Name);
            json.WriteHex("first", region.Base.Value);
            json.WriteHex("last", region.Base.Value + (region.Size - 1));
            json.WriteHex("offset", place.Offset);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("device");
        }
    }
}
