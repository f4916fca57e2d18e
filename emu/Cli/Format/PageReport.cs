using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>A page walk as a person reads it.</summary>
internal static class PageReport
{
    /// <summary>Walks for one access, changing nothing, and writes down what was met.</summary>
    public static void Write(
        TextWriter output, IGuestMemoryAccess memory, Memslots slots, MmioBus devices, in PagingState state, Gva address, WalkAccess access, string name)
    {
        UnchangedTables tables = new(memory);
        WalkTrace trace = default;
        WalkResult result = PageWalker.Walk(ref tables, state, address, access, ref trace);
        output.WriteLine($"{Capitalize(WalkDescription.AccessName(access))} at {name}");
        output.WriteLine(Registers(state));
        if (trace.Steps.Length != 0)
        {
            output.WriteLine();
            output.WriteLine("level  entry at         value               flags                          rights so far");
        }

        foreach (WalkStep step in trace.Steps)
        {
            bool leaf = result.Succeeded && step.Level == result.Level;
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{WalkDescription.LevelName(step.Level),-5}  0x{step.Address.Value:x12}   {step.Before}  {EntryFlags.Format(step.Before, step.Level)}  {Rights(step, leaf)}"));
        }

        output.WriteLine();
        if (!result.Succeeded)
        {
            output.WriteLine($"{Fault(result)}. {WalkDescription.Describe(result, address, access, state)}");
            return;
        }

        WriteFrame(output, slots, devices, result);
        if (result.Level != 0)
        {
            WriteUpdates(output, trace.Steps);
        }
    }

    private static string Registers(in PagingState state) => string.Create(
        CultureInfo.InvariantCulture,
        $"{ModeName(state.Mode)}CR3 0x{state.Cr3:x}, WP {Bit(state.WP)}, PGE {Bit(state.PGE)}, SMEP {Bit(state.SMEP)}, SMAP {Bit(state.SMAP)}, AC {Bit(state.AlignmentCheck)}, NXE {Bit(state.NXE)}, MAXPHYADDR {state.PhysicalAddressBits}");

    private static string ModeName(PagingMode mode) => mode switch
    {
        PagingMode.None => "No paging, ",
        PagingMode.Bits32 => "32-bit paging, ",
        PagingMode.Pae => "PAE paging, ",
        _ => "",
    };

    private static string Rights(in WalkStep step, bool leaf)
    {
        if (!step.Before.P)
        {
            return "none: not present";
        }

        string who = (step.Rights & PageRights.User) != 0 ? "user" : "supervisor";
        string write = (step.Rights & PageRights.Write) != 0 ? "w" : "-";
        string execute = (step.Rights & PageRights.NoExecute) == 0 ? "x" : "-";
        return $"{who} r{write}{execute}{(leaf ? " (maps the page)" : "")}";
    }

    private static void WriteFrame(TextWriter output, Memslots slots, MmioBus devices, in WalkResult result)
    {
        ulong size = 1UL << result.PageShift;
        ulong first = result.Gpa.Value & ~(size - 1);
        output.WriteLine(result.Level == 0
            ? $"page   none: CR0.PG is 0, byte at {result.Gpa}"
            : $"page   {SizeName(result.PageShift)} at guest-physical 0x{first:x}, byte at {result.Gpa}");
        if (slots.TryFind(result.Gpa, out Memslot? slot))
        {
            string writable = slot.IsWritable ? "" : ", read-only";
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"host   memslot {slot.Id} ({slot.Base}..0x{slot.End.Value - 1:x}{writable}), offset 0x{result.Gpa.Value - slot.Base.Value:x}"));
        }
        else if (devices.TryFind(result.Gpa, out MmioRegion region))
        {
            output.WriteLine($"host   no memslot: MMIO, {region.Device.GetType().Name} at {region.Base}, offset 0x{result.Gpa.Value - region.Base.Value:x}");
        }
        else
        {
            output.WriteLine("host   no memslot and no device: reads give all ones, writes go nowhere");
        }
    }

    private static void WriteUpdates(TextWriter output, ReadOnlySpan<WalkStep> steps)
    {
        List<string> updates = [];
        foreach (WalkStep step in steps)
        {
            ulong set = step.After.Raw & ~step.Before.Raw;
            string bits = (set & PageTableEntry.ABit) == 0 ? "D" : (set & PageTableEntry.DBit) == 0 ? "A" : "A and D";
            if (set != 0)
            {
                updates.Add($"{bits} in the {WalkDescription.LevelName(step.Level)}");
            }
        }

        string all = updates.Count == 0 ? "nothing: the flags are set already" : $"{string.Join(", ", updates)}; nothing was changed here";
        output.WriteLine($"sets   {all}");
    }

    private static string Fault(in WalkResult result) =>
        result.Failure == WalkFailure.NonCanonical ? "#GP(0x0)" : $"#PF(0x{(uint)result.ErrorCode:x})";

    private static string SizeName(int shift) => shift switch
    {
        PageSize.Shift4K => "4 KiB",
        PageSize.Shift2M => "2 MiB",
        22 => "4 MiB",
        _ => "1 GiB",
    };

    private static string Capitalize(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static int Bit(bool value) => value ? 1 : 0;
}
