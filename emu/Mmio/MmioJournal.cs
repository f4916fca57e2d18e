using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// What the instruction being emulated has done to devices so far. An instruction that has to wait begins again later, and what stands here
/// is not done a second time: reads give the same bytes, writes are skipped. KVM keeps reads so (<c>mem_read</c> in x86_emulate_ctxt).
/// </summary>
/// <remarks>
/// One instruction makes a bounded number of accesses, and each element of a repeated string instruction, which the count register tells
/// apart, begins anew.
/// </remarks>
internal sealed unsafe class MmioJournal(CpuState* cpu)
{
    private Entry[] entries = new Entry[4];
    private int count;
    private int position;
    private ulong element;
    private ulong suspendedRip;
    private ulong suspendedAt;

    /// <summary>Whether an instruction waits to go on.</summary>
    public bool IsSuspended { get; private set; }

    /// <summary>An instruction is about to be emulated, with the processor's count of retired instructions: one that waits goes on.</summary>
    public void Begin(ulong retired)
    {
        position = 0;
        if (IsSuspended && Matches(retired))
        {
            IsSuspended = false;
            return;
        }

        IsSuspended = false;
        count = 0;
        element = cpu->Gpr[GeneralRegister.Rcx];
    }

    /// <summary>Whether the instruction that waits is the one at RIP: else something led the processor elsewhere, and nothing waits.</summary>
    public bool Matches(ulong retired) => IsSuspended && suspendedRip == cpu->Rip && suspendedAt == retired;

    /// <summary>The instruction has to wait: it begins again where RIP is.</summary>
    public void Suspend(ulong retired)
    {
        IsSuspended = true;
        suspendedRip = cpu->Rip;
        suspendedAt = retired;
    }

    /// <summary>Nothing waits.</summary>
    public void Forget() => IsSuspended = false;

    /// <summary>Gives the bytes of a read that was done before; false where it was not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReplayRead(Gpa address, Span<byte> bytes) => position < count && TryReplay(address, bytes, isWrite: false);

    /// <summary>Whether a write was done before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReplayWrite(Gpa address, ReadOnlySpan<byte> bytes) => position < count && TryReplay(address, bytes, isWrite: true);

    /// <summary>Notes what was done.</summary>
    public void Add(Gpa address, ReadOnlySpan<byte> bytes, bool isWrite)
    {
        if (element != cpu->Gpr[GeneralRegister.Rcx])
        {
            element = cpu->Gpr[GeneralRegister.Rcx];
            count = 0;
        }

        if (count == entries.Length)
        {
            Array.Resize(ref entries, 2 * count);
        }

        ref Entry entry = ref entries[count++];
        entry.Address = address;
        entry.Length = bytes.Length;
        entry.IsWrite = isWrite;
        if (!isWrite)
        {
            bytes.CopyTo(entry.Bytes);
        }

        position = count;
    }

    private bool TryReplay(Gpa address, ReadOnlySpan<byte> bytes, bool isWrite)
    {
        ref Entry entry = ref entries[position];
        if (element != cpu->Gpr[GeneralRegister.Rcx] || entry.Address != address || entry.Length != bytes.Length || entry.IsWrite != isWrite)
        {
            count = position;
            return false;
        }

        position++;
        return true;
    }

    private bool TryReplay(Gpa address, Span<byte> bytes, bool isWrite)
    {
        int at = position;
        if (!TryReplay(address, (ReadOnlySpan<byte>)bytes, isWrite))
        {
            return false;
        }

        ((ReadOnlySpan<byte>)entries[at].Bytes)[..bytes.Length].CopyTo(bytes);
        return true;
    }

    private struct Entry
    {
        public Gpa Address;
        public int Length;
        public bool IsWrite;
        public Data Bytes;
    }

    [InlineArray(MmioBus.WidestAccess)]
    private struct Data
    {
        private byte first;
    }
}
