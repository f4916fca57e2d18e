using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>A walk of both stages as a person reads it.</summary>
internal static class StageReport
{
    public static void Write(TextWriter output, StageFindings findings, string name)
    {
        output.WriteLine($"{PageReport.Capitalize(WalkDescription.AccessName(findings.Access))} at {name}");
        output.WriteLine(PagingText.Registers(findings.State));
        EptPointer eptp = findings.Eptp;
        output.WriteLine($"EPTP 0x{eptp.Raw:x}: {eptp.Levels} levels, {MemoryTypeEncoding.Name(eptp.MemoryType)}, root at host-physical {eptp.Root}");
        if (findings.Steps.Count != 0)
        {
            output.WriteLine();
            output.WriteLine(" #  host-physical   value               flags                          entry");
        }

        for (int i = 0; i < findings.Steps.Count; i++)
        {
            (NestedWalkStep step, Hpa? host) = findings.Steps[i];
            string flags = step.IsGuest ? EntryFlags.Format(new PageTableEntry(step.Before), step.Level) : EptEntryFlags.Format(new EptEntry(step.Before), step.Level);
            string place = host is { } at ? $"0x{at.Value:x12}" : "a register";
            string guest = step.IsGuest ? $", guest-physical 0x{step.Address:x}" : "";
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{i + 1,2}  {place,-14}  0x{step.Before:x16}  {flags,-29}  {step.Role}{guest}"));
        }

        output.WriteLine();
        NestedWalkResult result = findings.Result;
        if (result.GuestFaults)
        {
            string text = WalkDescription.Describe(result.Guest, findings.Address, findings.Access, findings.State);
            output.WriteLine($"{PageReport.Fault(result.Guest)}. {text}");
        }
        else if (!result.Succeeded)
        {
            WriteExit(output, findings);
        }
        else
        {
            WriteTranslation(output, findings);
        }
    }

    /// <summary>The bits of a qualification: <c>read, linear address valid, final address</c>.</summary>
    public static string Names(EptQualification qualification) => string.Join(
        ", ", Enum.GetValues<EptQualification>().Where(bit => bit != EptQualification.None && qualification.HasFlag(bit)).Select(Name));

    private static string Name(EptQualification bit) =>
        string.Concat(bit.ToString().Select((c, i) => char.IsUpper(c) ? $"{(i == 0 ? "" : " ")}{char.ToLowerInvariant(c)}" : $"{c}"));

    private static void WriteExit(TextWriter output, StageFindings findings)
    {
        NestedWalkResult result = findings.Result;
        EptQualification qualification = (EptQualification)result.SecondStage.Qualification;
        output.WriteLine(SecondStageDescription.Describe(result.SecondStage, result.Gpa, result.Access, HostFrames.AddressBits));
        output.WriteLine(
            $"exit   {findings.Cause}: {SecondStageDescription.ExitName(result.Exit)}, qualification 0x{(uint)qualification:x} ({Names(qualification)}), exits to the hypervisor");
        output.WriteLine($"host   {findings.Place}");
    }

    private static void WriteTranslation(TextWriter output, StageFindings findings)
    {
        NestedWalkResult result = findings.Result;
        string guest = result.Guest.Level == 0 ? "no paging in the guest" : $"{PagingText.Size(1UL << result.Guest.PageShift)} by the guest";
        string second = PagingText.Size(1UL << result.SecondStage.PageShift);
        output.WriteLine($"page   {PagingText.Size(1UL << result.PageShift)}: {guest}, {second} by EPT; byte at guest-physical {result.Gpa}, host-physical {result.Hpa}");
        string ept = EptRights(result.SecondStage.Rights);
        output.WriteLine($"rights {PagingText.Rights(result.Rights)}: {PagingText.Rights(result.Guest.Rights)} by the guest, {ept} by EPT");
        output.WriteLine($"host   {findings.Place}");
        output.WriteLine($"type   {findings.MemoryType}");
        string sets = string.Join(", ", findings.Steps.Where(step => step.Step.After != step.Step.Before).Select(Sets));
        output.WriteLine($"sets   {(sets.Length == 0 ? "nothing: the flags are set already" : $"{sets}; nothing was changed here")}");
    }

    private static string EptRights(SecondStageRights rights) =>
        $"{((rights & SecondStageRights.Read) != 0 ? "r" : "-")}{((rights & SecondStageRights.Write) != 0 ? "w" : "-")}{((rights & SecondStageRights.Execute) != 0 ? "x" : "-")}";

    private static string Sets(StageStep step) =>
        $"{string.Join(" and ", EntryFlags.Names(new PageTableEntry(step.Step.After & ~step.Step.Before), step.Step.Level))} in the {step.Step.Role}";
}
