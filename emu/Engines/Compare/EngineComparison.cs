using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// Two machines with the same guest, one on the reference engine and one on another, run side by side. The other goes first, for an instruction, a block
/// or up to its next exit; the reference retires as many instructions, and registers are compared. Memory is compared now and then, and at the end.
/// </summary>
/// <remarks>
/// Status flags that the SDM leaves undefined may differ; so may what a tolerated erratum says. The second machine is then given the reference's, and
/// both go on alike.
/// </remarks>
public sealed class EngineComparison
{
    private const ulong MemoryInterval = 1 << 26;
    private const int MemoryPiece = 1 << 20;
    private const int MostMemoryDifferences = 8;

    private readonly Machine reference;
    private readonly Machine subject;
    private readonly RecentWalks referenceWalks = new();
    private readonly RecentWalks subjectWalks = new();
    private readonly bool toleratesMxcsr;
    private ulong memoryCompared;

    /// <summary>Compares two machines that have been given the same guest, and have run nothing but the same since.</summary>
    /// <param name="reference">The machine on the interpreter.</param>
    /// <param name="subject">The machine on the other engine.</param>
    /// <param name="step">After how much they are compared.</param>
    /// <exception cref="ArgumentException">A machine has several processors or a clock of its own, or they are of different sizes.</exception>
    public EngineComparison(Machine reference, Machine subject, ComparisonStep step)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(subject);
        if (reference.Board is not null || subject.Board is not null)
        {
            throw new ArgumentException("only bare machines are compared", nameof(subject));
        }

        if (reference.Options.RamBytes != subject.Options.RamBytes || reference.Options.Engine != EngineKind.Interpreter)
        {
            throw new ArgumentException("the machines do not match: the reference is on the interpreter, and has as much RAM", nameof(reference));
        }

        this.reference = reference;
        this.subject = subject;
        reference.Cpu.Memory.WalkListener = referenceWalks;
        subject.Cpu.Memory.WalkListener = subjectWalks;
        toleratesMxcsr = subject.Options.Tolerated.Contains(UnicornErrata.MxcsrFlags);
        subject.Engine.ComesBackSoon = true;
        if (subject.Unicorn is { } unicorn)
        {
            unicorn.IsEager = true;
            unicorn.Step = step switch
            {
                ComparisonStep.Instruction => UnicornStep.Instruction,
                ComparisonStep.Block => UnicornStep.Block,
                _ => UnicornStep.Stretch,
            };
        }

        IsByInstruction = step == ComparisonStep.Instruction;
        memoryCompared = subject.Cpu.Counters.Instructions;
    }

    /// <summary>How often the machines were compared.</summary>
    public ulong Comparisons { get; private set; }

    /// <summary>How the guest ended, or why the comparison did.</summary>
    public StopReport? Ended { get; private set; }

    private bool IsByInstruction { get; }

    /// <summary>Runs both until they differ, the guest ends, a machine is asked to stop, or <paramref name="limit"/> instructions have been retired.</summary>
    /// <param name="limit">The most instructions.</param>
    /// <returns>The difference, or null.</returns>
    public EngineDifference? Run(ulong limit = ulong.MaxValue)
    {
        Ended = null;
        ulong left = limit;
        while (left != 0)
        {
            ulong before = subject.Cpu.Counters.Instructions;
            Gva begin = new(reference.Cpu.State.Rip);
            StopReport report = subject.Run(IsByInstruction ? 1 : Math.Min(left, UnicornProcessor.MaxStretch));
            ulong retired = subject.Cpu.Counters.Instructions - before;
            List<ComparedValue> found = Follow(report, retired);
            left -= Math.Min(left, Math.Max(retired, 1));
            Comparisons++;
            bool ends = report.Reason != StopReason.Limit || left == 0;
            if (found.Count == 0 && (ends || subject.Cpu.Counters.Instructions - memoryCompared >= MemoryInterval))
            {
                memoryCompared = subject.Cpu.Counters.Instructions;
                CompareMemory(found);
            }

            if (found.Count != 0)
            {
                return new EngineDifference(before, subject.Cpu.Counters.Instructions, begin, InstructionAt(begin), found, referenceWalks.List(), subjectWalks.List())
                {
                    UsesUndefinedFlags = subject.Unicorn is { UsedUndefinedFlags: true },
                };
            }

            if (ends)
            {
                Ended = report;
                return null;
            }
        }

        return null;
    }

    /// <summary>Lets the reference retire as many instructions as the subject did, and compares.</summary>
    private List<ComparedValue> Follow(StopReport report, ulong retired)
    {
        StopReport other = reference.Run(retired);
        if (report.Reason == StopReason.Requested)
        {
            return [];
        }

        if (other.Reason != report.Reason && other.Reason == StopReason.Limit)
        {
            other = reference.Run(1);
        }

        List<ComparedValue> found = [];
        if (other.Reason != report.Reason || other.Status != report.Status)
        {
            found.Add(new ComparedValue("stop", Text(other), Text(report)));
        }

        ulong ahead = reference.Cpu.Counters.Instructions;
        if (ahead != subject.Cpu.Counters.Instructions)
        {
            found.Add(new ComparedValue("instructions", ahead.ToString(CultureInfo.InvariantCulture), subject.Cpu.Counters.Instructions.ToString(CultureInfo.InvariantCulture)));
        }

        if (!StateComparison.AreSame(reference.Cpu, subject.Cpu))
        {
            found.AddRange(StateComparison.Compare(reference.Cpu, subject.Cpu, subject.Unicorn?.UndefinedFlags ?? 0, toleratesMxcsr));
            if (found.Count == 0)
            {
                StateComparison.Align(reference.Cpu, subject.Cpu);
            }
        }

        if (reference.Cpu.Counters.MmioExits != subject.Cpu.Counters.MmioExits)
        {
            found.Add(new ComparedValue(
                "device accesses", reference.Cpu.Counters.MmioExits.ToString(CultureInfo.InvariantCulture), subject.Cpu.Counters.MmioExits.ToString(CultureInfo.InvariantCulture)));
        }

        return found;
    }

    /// <summary>The instruction as the bytes of now are.</summary>
    private unsafe string InstructionAt(Gva address)
    {
        Span<byte> bytes = stackalloc byte[15];
        int there = 0;
        while (there < bytes.Length && TryReadCode(address.Value + (ulong)there, out bytes[there]))
        {
            there++;
        }

        if (there == 0)
        {
            return "(no instruction can be fetched there)";
        }

        fixed (byte* first = bytes)
        {
            return new InstructionDecoder().Decode(first, there, address.Value, reference.Cpu.State.Mode).ToString();
        }
    }

    private unsafe bool TryReadCode(ulong address, out byte value)
    {
        byte* host = reference.Cpu.Memory.TranslateFor(address, new WalkAccess(AccessKind.Read, User: false, Implicit: true));
        value = host == null ? (byte)0 : *host;
        return host != null;
    }

    private static string Text(StopReport report) => report.Reason == StopReason.Limit ? "goes on" : $"{report.Reason}{(report.Status is null ? "" : $" {report.Status}")}";

    private void CompareMemory(List<ComparedValue> found)
    {
        byte[] one = new byte[MemoryPiece];
        byte[] other = new byte[MemoryPiece];
        foreach (Memslot slot in reference.Slots.All)
        {
            for (ulong offset = 0; offset < slot.Size && found.Count < MostMemoryDifferences; offset += MemoryPiece)
            {
                int length = (int)Math.Min(MemoryPiece, slot.Size - offset);
                reference.ReadMemory(slot.Base + offset, one.AsSpan(0, length));
                subject.ReadMemory(slot.Base + offset, other.AsSpan(0, length));
                AddDifferences(slot.Base + offset, one.AsSpan(0, length), other.AsSpan(0, length), found);
            }
        }
    }

    private static void AddDifferences(Gpa at, ReadOnlySpan<byte> one, ReadOnlySpan<byte> other, List<ComparedValue> found)
    {
        for (int i = one.CommonPrefixLength(other) & ~7; i < one.Length && found.Count < MostMemoryDifferences; i += 8 + (one[(i + 8)..].CommonPrefixLength(other[(i + 8)..]) & ~7))
        {
            ulong a = BitConverter.ToUInt64(one[i..]);
            ulong b = BitConverter.ToUInt64(other[i..]);
            if (a != b)
            {
                found.Add(new ComparedValue($"memory at guest-physical {at + (ulong)i}", $"0x{a:x16}", $"0x{b:x16}"));
            }
        }
    }
}
