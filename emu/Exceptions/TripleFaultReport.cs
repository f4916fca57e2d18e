using System.Globalization;
using System.Text;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Why a processor shut down: the exception that the guest raised, and those met one after the other while delivering it.</summary>
/// <param name="Chain">The exceptions in their order, double faults included; the first is the guest's own.</param>
/// <param name="Rip">RIP when the first was raised.</param>
/// <param name="Rsp">RSP at that time.</param>
/// <param name="Cpl">CPL at that time.</param>
/// <param name="Paging">The paging state at that time.</param>
public sealed record TripleFaultReport(IReadOnlyList<GuestFault> Chain, ulong Rip, ulong Rsp, byte Cpl, PagingState Paging)
{
    /// <summary>The exception that the guest raised.</summary>
    public GuestFault First => Chain[0];

    /// <summary>Several lines: where it happened, and a line for each exception.</summary>
    public override string ToString()
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"Triple fault at RIP 0x{Rip:x}, RSP 0x{Rsp:x}, CPL {Cpl}:");
        string delivering = "";
        for (int i = 0; i < Chain.Count; i++)
        {
            GuestFault fault = Chain[i];
            string address = fault.Cause.HasAddress ? $" at {fault.Address}" : "";
            string what = fault.Cause.Rule == FaultRule.StructureOutsideMemory ? "shutdown" : fault.NameWithCode;
            string text1 = fault.Vector == ExceptionVector.DoubleFault && i > 0
                ? "#DF(0x0) takes its place: the two cannot be handled one after the other"
                : $"{what}{address}{delivering}: {FaultCauseText.Describe(fault, Paging)}";
            text.AppendLine().Append(CultureInfo.InvariantCulture, $"  {i + 1}. {text1}");
            delivering = $" while delivering {fault.Name}";
        }

        return text.ToString();
    }
}
