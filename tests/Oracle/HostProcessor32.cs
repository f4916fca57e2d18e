using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// Runs one user-mode instruction of 32-bit or 16-bit code on the host's own processor, by a far jump to such a code segment and back. DS
/// and ES are a segment that begins at <see cref="ScratchAddress"/>, so that offsets are not linear addresses; SS is flat. An instruction
/// that faults ends the process. Not thread-safe.
/// </summary>
public sealed unsafe class HostProcessor32 : IDisposable
{
    public const ushort StackSelector = 0x2B;

    private const ushort LinuxCode32 = 0x23;
    private const ushort LinuxCode64 = 0x33;
    private const int MaxInstructionLength = 15;

    private static readonly bool[] EntriesInUse = new bool[64];

    private static readonly AssemblerRegister64[] CalleeSaved = [rbx, rbp, r12, r13, r14, r15];
    private static readonly AssemblerRegister32[] General = [eax, ecx, edx, ebx, esp, ebp, esi, edi];

    private readonly StubMemory memory = new();
    private readonly Control* control;
    private readonly int codeEntry;
    private readonly int dataEntry;
    private readonly byte[] before;
    private readonly byte[] after;
    private byte[] last = [];
    private nint lastStub;
    private int used;

    /// <param name="bits">The width of the code: 16 or 32.</param>
    /// <exception cref="PlatformNotSupportedException">The host has no such segments: see <see cref="WhyNot"/>.</exception>
    public HostProcessor32(int bits)
    {
        Bits = bits;
        control = (Control*)memory.Control;
        codeEntry = TakeEntry();
        dataEntry = TakeEntry();
        before = Assemble(BuildPrologue);
        after = Assemble(BuildEpilogue);
        bool has = LocalDescriptors.TrySet(dataEntry, (uint)ScratchAddress, ushort.MaxValue, LocalDescriptors.Data)
            && (bits == 32 || LocalDescriptors.TrySet(codeEntry, 0, 0xF_FFFF, LocalDescriptors.Code16));
        if (!has)
        {
            Dispose();
            throw new PlatformNotSupportedException("the kernel refuses descriptors in the LDT");
        }
    }

    /// <summary>Why the host is no oracle for such code; null where it is.</summary>
    public static string? WhyNot
    {
        get
        {
            if (!HostProcessor.IsSupported)
            {
                return "needs an x64 Linux host";
            }

            try
            {
                using HostProcessor32 host = new(16);
                return null;
            }
            catch (PlatformNotSupportedException e)
            {
                return e.Message;
            }
        }
    }

    public int Bits { get; }

    /// <summary>Memory operands point here.</summary>
    public Span<byte> Scratch => new(memory.Scratch, StubMemory.ScratchSize);

    /// <summary>The linear address of <see cref="Scratch"/>, and the base of DS and ES.</summary>
    public ulong ScratchAddress => (ulong)memory.Scratch;

    public ushort DataSelector => (ushort)((dataEntry << 3) | 7);

    public ushort CodeSelector => Bits == 32 ? LinuxCode32 : (ushort)((codeEntry << 3) | 7);

    /// <summary>Loads EAX to EDI and the flags, runs the instruction, and stores what it leaves; ESP is a linear address in <see cref="Scratch"/>.</summary>
    /// <exception cref="ArgumentException">The instruction has no or too many bytes.</exception>
    public void Run(ReadOnlySpan<byte> instruction, ref HostState state)
    {
        ArgumentOutOfRangeException.ThrowIfZero(instruction.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(instruction.Length, MaxInstructionLength);
        if (!instruction.SequenceEqual(last))
        {
            last = instruction.ToArray();
            lastStub = Emit(instruction);
        }

        state.Rflags |= 2;
        fixed (HostState* pointer = &state)
        {
            // SAFETY: as for HostProcessor; the segments it loads are flat or end within the scratch pages and what follows them, and are put back.
            ((delegate* unmanaged[SuppressGCTransition]<HostState*, void>)lastStub)(pointer);
        }

        state.Rflags = (state.Rflags & (HostState.StatusFlags | HostState.DirectionFlag)) | 2;
    }

    public void Dispose()
    {
        lock (EntriesInUse)
        {
            EntriesInUse[codeEntry] = EntriesInUse[dataEntry] = false;
        }

        memory.Dispose();
    }

    private static int TakeEntry()
    {
        lock (EntriesInUse)
        {
            int entry = Array.IndexOf(EntriesInUse, false);
            EntriesInUse[entry] = true;
            return entry;
        }
    }

    private nint Emit(ReadOnlySpan<byte> instruction)
    {
        used = used + 512 > StubMemory.CodeSize ? 0 : used;
        byte* start = memory.Code + used;
        byte* narrow = start + before.Length;
        byte* end = narrow + instruction.Length + (Bits == 32 ? 7 : 8);
        byte[] back =
        [
            .. Bits == 32 ? (byte[])[] : [0x66],
            0xEA, .. BitConverter.GetBytes((uint)(ulong)end), .. BitConverter.GetBytes(LinuxCode64),
        ];
        byte[] stub = [.. before, .. instruction, .. back, .. after];
        stub.CopyTo(memory.WritableCode[used..]);
        used += (stub.Length + 63) & ~63;
        control->Target = (uint)(ulong)narrow;
        control->Selector = CodeSelector;

        // SDM vol. 3, 9.1.3: code changed through another linear address needs a serializing instruction before it runs.
        _ = System.Runtime.Intrinsics.X86.X86Base.CpuId(0, 0);
        return (nint)start;
    }

    private void BuildPrologue(Assembler c)
    {
        foreach (AssemblerRegister64 register in CalleeSaved)
        {
            c.push(register);
        }

        c.mov(__qword_ptr[(long)&control->State], rdi);
        c.mov(__qword_ptr[(long)&control->HostRsp], rsp);
        c.mov(eax, (int)DataSelector);
        c.mov(ds, eax);
        c.mov(es, eax);
        for (int i = 0; i < General.Length; i++)
        {
            if (General[i] != esp && General[i] != edi)
            {
                c.mov(General[i], __dword_ptr[rdi + (8 * i)]);
            }
        }

        c.push(__qword_ptr[rdi + HostState.RflagsOffset]);
        c.popfq();
        c.mov(esp, __dword_ptr[rdi + (8 * 4)]);
        c.mov(edi, __dword_ptr[rdi + (8 * 7)]);
        c.jmp(__fword_ptr[(long)&control->Target]);
    }

    private void BuildEpilogue(Assembler c)
    {
        c.mov(__dword_ptr[(long)&control->TestedEdi], edi);
        c.mov(rdi, __qword_ptr[(long)&control->State]);
        c.mov(__dword_ptr[rdi + (8 * 4)], esp);
        c.mov(rsp, __qword_ptr[(long)&control->HostRsp]);
        c.pushfq();
        c.pop(__qword_ptr[rdi + HostState.RflagsOffset]);
        c.cld();
        for (int i = 0; i < General.Length; i++)
        {
            if (General[i] != esp && General[i] != edi)
            {
                c.mov(__dword_ptr[rdi + (8 * i)], General[i]);
            }
        }

        c.mov(eax, __dword_ptr[(long)&control->TestedEdi]);
        c.mov(__dword_ptr[rdi + (8 * 7)], eax);
        c.xor(eax, eax);
        c.mov(ds, eax);
        c.mov(es, eax);
        for (int i = CalleeSaved.Length - 1; i >= 0; i--)
        {
            c.pop(CalleeSaved[i]);
        }

        c.ret();
    }

    private static byte[] Assemble(Action<Assembler> build)
    {
        Assembler assembler = new(64);
        build(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Control
    {
        public ulong State;
        public ulong HostRsp;
        public uint Target;
        public uint Selector;
        public uint TestedEdi;
    }
}
