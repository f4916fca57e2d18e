using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// Emulates the one instruction that touched a guest-physical address without a memslot, as a hypervisor must: it walks the
/// guest's page tables and fetches the bytes through the access path, decodes them, and executes the processor's own
/// semantics through <see cref="HypervisorPort"/>, which calls devices with the full width of the access.
/// </summary>
/// <param name="vcpu">The processor that exited.</param>
/// <param name="decodeAssist">Whether it supplies the instruction's bytes, so that the hypervisor need not fetch them.</param>
internal sealed unsafe class MmioEmulator(Vcpu vcpu, bool decodeAssist = false) : IDisposable
{
    private const int MaxInstructionLength = 15;
    private const int CacheEntries = 256;
    private const int OpsPerEntry = 2;

    private readonly Key[] keys = new Key[CacheEntries];
    private readonly InstructionDecoder decoder = new();
    private Op* ops = (Op*)NativeMemory.AlignedAlloc((nuint)(CacheEntries * OpsPerEntry * sizeof(Op)), 64);

    /// <summary>
    /// Emulates the instruction at RIP: <see cref="BlockExit.Branch"/> when it retired,
    /// <see cref="BlockExit.Repeat"/> when it is not finished yet, <see cref="BlockExit.Fault"/> when it raised one,
    /// <see cref="BlockExit.Retry"/> and <see cref="BlockExit.Refused"/> when it has to wait: then the next call goes on with it.
    /// </summary>
    public BlockExit Emulate()
    {
        vcpu.Counters.MmioExits++;
        vcpu.SynchronizeClock();
        vcpu.Hypervisor.Begin();
        Op* op = Fetch(vcpu.State.Rip);
        if (op == null)
        {
            return vcpu.Hypervisor.End(vcpu.PendingExit);
        }

        CpuState* cpu = vcpu.StatePointer;
        vcpu.SliceLength = 1;
        cpu->Meter = 1;
        BlockExit exit = vcpu.Hypervisor.End(op->Handler(cpu, op, vcpu));
        vcpu.Counters.Instructions += exit is BlockExit.Retry or BlockExit.Refused ? 0 : (ulong)(1 - cpu->Remaining);
        vcpu.SliceLength = 0;
        cpu->Meter = 0;
        cpu->Current = null;
        return exit;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(ops);
        ops = null;
    }

    private Op* Fetch(ulong rip)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        ulong linear = vcpu.Is64BitMode ? rip : (uint)(rip + vcpu.State.Segments[SegmentIndex.Cs].Base);
        int inPage = Math.Min(MaxInstructionLength, (int)(PageSize.Size4K - (linear & PageSize.Mask4K)));
        if (!Fetch(linear, bytes[..inPage]))
        {
            return null;
        }

        int available = inPage;
        Key key = new(rip, Vector128.Create<byte>(bytes), available, vcpu.State.Mode);
        int slot = SlotOf(rip);
        if (keys[slot] == key)
        {
            return ops + (slot * OpsPerEntry);
        }

        Instruction instruction = Decode(bytes[..available], rip);
        if (instruction.IsInvalid && decoder.NeedsMoreBytes && available < MaxInstructionLength)
        {
            if (!Fetch((linear + (ulong)inPage) & vcpu.LinearMask, bytes[inPage..MaxInstructionLength]))
            {
                return null;
            }

            available = MaxInstructionLength;
            key = new(rip, Vector128.Create<byte>(bytes), available, vcpu.State.Mode);
            if (keys[slot] == key)
            {
                return ops + (slot * OpsPerEntry);
            }

            instruction = Decode(bytes[..available], rip);
        }

        keys[slot] = key;
        return Bind(instruction, slot);
    }

    private bool Fetch(ulong linear, Span<byte> bytes) =>
        (decodeAssist && vcpu.Hypervisor.TryTakeSupplied(linear, bytes)) || vcpu.Hypervisor.Fetch(linear, bytes);

    private Op* Bind(in Instruction instruction, int slot)
    {
        Op* op = ops + (slot * OpsPerEntry);
        op[0] = new Op
        {
            Rip = instruction.IP,
            Length = (byte)instruction.Length,
            Link = vcpu.Code.Nowhere,
            Toll = ulong.MaxValue,
        };
        PortSelector<HypervisorPort>.Bind(instruction, ref op[0], vcpu.State.Mode, vcpu.Features);
        op[1] = new Op
        {
            Rip = instruction.NextIP,
            Immediate = instruction.NextIP,
            Before = 1,
            Link = vcpu.Code.Nowhere,
            Toll = ulong.MaxValue,
            Handler = &Terminate<BlockEnd, HypervisorPort>.Serializing,
        };
        return op;
    }

    private Instruction Decode(Span<byte> bytes, ulong rip)
    {
        fixed (byte* start = bytes)
        {
            return decoder.Decode(start, bytes.Length, rip, vcpu.State.Mode);
        }
    }

    private static int SlotOf(ulong rip) => (int)((rip ^ (rip >> 8)) & (CacheEntries - 1));

    private readonly record struct Key(ulong Rip, Vector128<byte> Bytes, int Length, BlockMode Mode);
}
