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
        TextWriter output, IGuestMemoryAccess memory, Memslots slots, MmioBus devices, in PagingState state, Gva address, WalkAccess access, string name,
        MemoryTyping? types = null) => Write(output, PageFindings.Of(memory, slots, devices, state, address, access, types), name);

    /// <summary>Writes down what a walk met.</summary>
    public static void Write(TextWriter output, PageFindings findings, string name)
    {
        (WalkTrace trace, WalkResult result, PagingState state, Gva address, WalkAccess access) =
            (findings.Trace, findings.Result, findings.State, findings.Address, findings.Access);
        output.WriteLine($"{Capitalize(WalkDescription.AccessName(access))} at {name}");
        output.WriteLine(PagingText.Registers(state));
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

        WriteFrame(output, result, findings.Place!);
        output.Write(findings.MemoryType is null ? "" : $"type   {findings.MemoryType}\n");
        if (result.Level != 0)
        {
            WriteUpdates(output, trace.Steps);
        }
    }

    private static string Rights(in WalkStep step, bool leaf)
    {
        if (!step.Before.P)
        {
            return "none: not present";
        }

        return PagingText.Rights(step.Rights) + (leaf ? " (maps the page)" : "");
    }

    private static void WriteFrame(TextWriter output, in WalkResult result, FramePlace place)
    {
        ulong size = 1UL << result.PageShift;
        ulong first = result.Gpa.Value & ~(size - 1);
        output.WriteLine(result.Level == 0
            ? $"page   none: CR0.PG is 0, byte at {result.Gpa}"
            : $"page   {PagingText.Size(size)} at guest-physical 0x{first:x}, byte at {result.Gpa}");
        output.WriteLine($"host   {place}");
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

    public static string Fault(in WalkResult result) =>
        result.Failure == WalkFailure.NonCanonical ? "#GP(0x0)" : $"#PF(0x{(uint)result.ErrorCode:x})";

    public static string Capitalize(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
