using System.Runtime.InteropServices;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Makes the accesses of each state with a whole processor, and then, without flushing its TLB, accesses of every other kind and privilege.
/// Each must end as the rules say for the entries as they lie in memory then: with the same #PF, error code and CR2, and the same flags set.
/// </summary>
internal sealed class ProcessorSweepCheck : ISweepVisitor, IDisposable
{
    private const ulong Neighbour = 0xdead_beef;
    private const int MostKept = 3;

    private static readonly ulong[] further =
    [
        0, SweepWords.UserAccess, SweepWords.WriteAccess, SweepWords.UserAccess | SweepWords.WriteAccess, SweepWords.FetchAccess,
        SweepWords.UserAccess | SweepWords.FetchAccess, SweepWords.ImplicitAccess, SweepWords.ImplicitAccess | SweepWords.UserAccess,
        0, SweepWords.UserAccess, SweepWords.WriteAccess, SweepWords.UserAccess | SweepWords.WriteAccess,
    ];

    private readonly Sweep sweep;
    private readonly Machine machine = new(new MachineOptions { RamBytes = 2UL << 30, Features = new CpuFeatures { PhysicalAddressBits = 40 } });
    private readonly SweepOracle oracle = new(SweepRules.Sdm);
    private readonly ulong[] addresses = new ulong[6];
    private readonly ulong cpu;
    private SweepPrediction expected;

    public ProcessorSweepCheck(Sweep sweep)
    {
        this.sweep = sweep;
        PagingState state = machine.Cpu.Paging;
        cpu = state.PhysicalAddressBits | (state.Page1G ? SweepWords.CpuPage1G : 0) | (state.Pse36 ? SweepWords.CpuPse36 : 0);
    }

    /// <summary>States of the machine's own processor model, and without shadow-stack accesses; the others are left out.</summary>
    public long States { get; private set; }

    public long Accesses { get; private set; }

    public long Faults { get; private set; }

    /// <summary>Accesses that needed no walk.</summary>
    public long Hits { get; private set; }

    public long Mismatches { get; private set; }

    /// <summary>The first of them, in words.</summary>
    public List<string> Kept { get; } = [];

    public void Visit(in SweepWords state, ReadOnlySpan<int> choice)
    {
        ulong access = state[Slot.Access];
        if (state[Slot.Cpu] != cpu || (access & SweepWords.ShadowStackAccess) != 0)
        {
            return;
        }

        States++;
        SweepWords now = state;
        Prepare(now);
        bool same = (access & SweepWords.TwiceAccess) == 0 || Check(ref now, 0, choice);
        same = same && Check(ref now, access & ~SweepWords.TwiceAccess, choice);
        for (int i = 0; same && i < further.Length; i++)
        {
            same = Check(ref now, further[i], choice);
        }

        Mismatches += same ? 0 : 1;
    }

    public void Dispose() => machine.Dispose();

    private void Prepare(in SweepWords state)
    {
        ref CpuState registers = ref machine.Cpu.State;
        registers.Cr0 = state[Slot.Cr0];
        registers.Cr3 = state[Slot.Cr3];
        registers.Cr4 = state[Slot.Cr4];
        registers.Msr.Efer = state[Slot.Efer];
        registers.Pkru = (uint)state[Slot.Keys];
        registers.Msr.Pkrs = state[Slot.Keys] >> 32;
        registers.Pdpte = state.StateFor(AccessedPolicy.OnSuccess).Pdptes;
        machine.Cpu.Rflags = 2 | state[Slot.Rflags];
        machine.Cpu.FlushTlb();
    }

    /// <summary>Puts the entries where this access looks for them, which is another place if its address is not masked.</summary>
    private void Place(in SweepWords state, PagingMode mode, ulong gva)
    {
        for (int level = 1; level <= TopOf(mode); level++)
        {
            addresses[level] = PagingSweeps.TableOf(level) + oracle.Offset(mode, level, gva);
            Write(addresses[level] & ~7UL, mode == PagingMode.Bits32 ? InWord(level, state[level]) : state[level]);
        }
    }

    private static int TopOf(PagingMode mode) => mode switch { PagingMode.FiveLevel => 5, PagingMode.FourLevel => 4, _ => 2 };

    private bool Check(ref SweepWords state, ulong access, ReadOnlySpan<int> choice)
    {
        PagingMode mode = state.Mode;
        ulong gva = state[Slot.Gva], used = oracle.AddressUsed(state, mode, access);
        Place(state, mode, used);
        oracle.Predict(state, access, onUse: false, addresses, ref expected);
        ulong walks = machine.Cpu.Counters.Walks;
        bool done = Access(gva, access);
        bool faulted = !done && machine.Cpu.PendingExit == BlockExit.Fault;
        GuestFault fault = faulted ? machine.Cpu.PendingFault : default;
        Accesses++;
        Faults += faulted ? 1 : 0;
        Hits += walks == machine.Cpu.Counters.Walks ? 1 : 0;
        bool same = expected.Failure switch
        {
            WalkFailure.None => !faulted,
            WalkFailure.NonCanonical => faulted && fault.Vector == ExceptionVector.GeneralProtection && fault.ErrorCode == 0,
            _ => faulted && fault.Vector == ExceptionVector.PageFault && fault.ErrorCode == (uint)expected.Code && fault.Address.Value == used,
        };
        for (int level = 1; level <= TopOf(mode) && expected.Failure != WalkFailure.NonCanonical; level++)
        {
            ulong after = mode == PagingMode.Bits32 ? InWord(level, expected.After[level]) : expected.After[level];
            same &= Read(addresses[level] & ~7UL) == after;
            state[level] = expected.After[level];
        }

        if (!same && Kept.Count < MostKept)
        {
            Kept.Add($"{sweep.Name}: {sweep.Describe(choice)}\n  {SweepWords.AccessOf(access)} of {gva:x}: expected {expected}, got {(faulted ? $"{fault.Vector} {fault.ErrorCode:x} at {fault.Address}" : done ? "done" : "an exit")}");
        }

        return same;
    }

    private unsafe bool Access(ulong gva, ulong access)
    {
        Vcpu vcpu = machine.Cpu;
        WalkAccess made = SweepWords.AccessOf(access);
        byte cpl = made.User ? (byte)3 : (byte)0;
        if (vcpu.State.Cpl != cpl)
        {
            vcpu.State.Cpl = cpl;
            vcpu.ContextChanged();
        }

        return made.Implicit ? vcpu.Memory.TranslateFor(gva, made) != null
            : made.Kind switch
            {
                AccessKind.Read => ProcessorPort.Read(ref vcpu.State, vcpu, gva, out byte _),
                AccessKind.Write => ProcessorPort.Write(ref vcpu.State, vcpu, gva, (byte)0x5a),
                _ => vcpu.Memory.Translate(gva, AccessKind.Execute) != null,
            };
    }

    private ulong InWord(int level, ulong entry) => (addresses[level] & 4) != 0 ? (entry << 32) | Neighbour : entry | (Neighbour << 32);

    private void Write(ulong address, ulong word) => machine.WriteMemory(new Gpa(address), MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in word)));

    private ulong Read(ulong address)
    {
        ulong word = 0;
        machine.ReadMemory(new Gpa(address), MemoryMarshal.AsBytes(new Span<ulong>(ref word)));
        return word;
    }
}
