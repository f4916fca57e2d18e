using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>Writes where two engines first differ.</summary>
internal static class DiffReport
{
    /// <summary>Writes the report.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="options">What was asked for.</param>
    /// <param name="difference">The difference.</param>
    /// <param name="step">How it was found.</param>
    /// <param name="describe">An address with its symbol.</param>
    public static void Write(TextWriter output, DiffOptions options, EngineDifference difference, ComparisonStep step, Func<Gva, string> describe)
    {
        string second = options.Second.Kind == EngineKind.Unicorn ? "unicorn" : "interpreter";
        string where = step == ComparisonStep.Instruction
            ? string.Create(CultureInfo.InvariantCulture, $"instruction {difference.Before + 1}, at {describe(difference.Begin)}")
            : string.Create(CultureInfo.InvariantCulture, $"instructions {difference.Before + 1} to {difference.After}, from {describe(difference.Begin)} on");
        output.WriteLine($"interpreter and {second} differ after {where}: {difference.Instruction}");
        int width = Math.Max(12, difference.Differences.Max(item => item.Name.Length));
        int column = Math.Max("interpreter".Length, difference.Differences.Max(item => item.Reference.Length));
        output.WriteLine($"  {"".PadRight(width)}  {"interpreter".PadRight(column)}  {second}");
        foreach (ComparedValue item in difference.Differences)
        {
            output.WriteLine($"  {item.Name.PadRight(width)}  {item.Reference.PadRight(column)}  {item.Subject}");
        }

        if (difference.UsesUndefinedFlags)
        {
            output.WriteLine("  the guest used status flags here that the SDM leaves undefined: both may be right");
        }

        WriteWalks(output, "the interpreter's last walks:", difference.ReferenceWalks);
        WriteWalks(output, $"the last walks for {second}:", difference.SubjectWalks);
        ulong length = Math.Max(1, difference.After - difference.Before);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"again: {options.Command} --skip {difference.Before} --limit {length} --step instruction"));
    }

    private static void WriteWalks(TextWriter output, string title, IReadOnlyList<ComparedWalk> walks)
    {
        if (walks.Count == 0)
        {
            return;
        }

        output.WriteLine(title);
        foreach (ComparedWalk walk in walks)
        {
            string gives = walk.Result.Succeeded ? $"gives {walk.Result.Gpa}" : $"fails, {walk.Result.Failure}";
            output.WriteLine($"  {WalkDescription.AccessName(walk.Access)} {walk.Gva}: {gives}");
            foreach ((int level, Gpa entry, PageTableEntry value) in walk.Entries)
            {
                output.WriteLine($"    {WalkDescription.LevelName(level),-5}  {entry}  {value}");
            }
        }
    }
}
