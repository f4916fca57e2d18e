using Iced.Intel;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>An interrupt or exception as its handler saw it.</summary>
/// <param name="Vector">The vector.</param>
/// <param name="Rip">The RIP pushed.</param>
/// <param name="Dr6">B0 to B3, BD, BS and BT; the handler clears them.</param>
/// <param name="Rflags">The RFLAGS pushed.</param>
internal readonly record struct LoggedEvent(int Vector, ulong Rip, ulong Dr6, ulong Rflags)
{
    public bool HasRF => (Rflags & Emulation.Rflags.RF) != 0;
}

/// <summary>Handlers for a <see cref="TestMachine"/> that note what they see and return.</summary>
internal sealed class EventLog(TestMachine machine)
{
    private const ulong Common = 0x1_8000;
    private const ulong Stubs = 0x1_9000;
    private const ulong Pointer = TestMachine.Data + 0x7FF8;
    private const ulong First = TestMachine.Data + 0x8000;
    private const int EntrySize = 32;
    private const int StubSize = 16;

    /// <summary>What was seen, in order.</summary>
    public IReadOnlyList<LoggedEvent> Events
    {
        get
        {
            List<LoggedEvent> events = [];
            for (ulong at = First; at < machine[Pointer]; at += EntrySize)
            {
                ulong dr6 = machine[at + 16] & (Dr6.Breakpoints | Dr6.BD | Dr6.BS | Dr6.BT);
                events.Add(new LoggedEvent((int)machine[at], machine[at + 8], dr6, machine[at + 24]));
            }

            return events;
        }
    }

    /// <summary>The RIPs of <see cref="Events"/>, counted from the start of the code.</summary>
    public IEnumerable<ulong> Offsets(ulong start = TestMachine.KernelCode) => Events.Select(e => e.Rip - start);

    /// <summary>The vectors of <see cref="Events"/>.</summary>
    public IEnumerable<int> Vectors => Events.Select(e => e.Vector);

    /// <summary>Installs handlers. They clear DR6, and that of #DB returns with RF set where <paramref name="resume"/> asks for it.</summary>
    public static EventLog Install(TestMachine machine, bool resume, params ReadOnlySpan<int> vectors)
    {
        machine[Pointer] = First;
        machine.Place(Common, c =>
        {
            c.push(rax);
            c.push(rcx);
            c.mov(rcx, __qword_ptr[Pointer]);
            c.mov(rax, __qword_ptr[rsp + 16]);
            c.mov(__qword_ptr[rcx], rax);
            c.mov(rax, __qword_ptr[rsp + 24]);
            c.mov(__qword_ptr[rcx + 8], rax);
            c.mov(rax, dr6);
            c.mov(__qword_ptr[rcx + 16], rax);
            c.mov(rax, __qword_ptr[rsp + 40]);
            c.mov(__qword_ptr[rcx + 24], rax);
            c.add(__qword_ptr[Pointer], EntrySize);
            c.mov(eax, 0);
            c.mov(dr6, rax);
            if (resume)
            {
                Label other = c.CreateLabel();
                c.cmp(__qword_ptr[rsp + 16], (int)ExceptionVector.Debug);
                c.jne(other);
                c.or(__qword_ptr[rsp + 40], (int)Rflags.RF);
                c.Label(ref other);
            }

            c.pop(rcx);
            c.pop(rax);
            c.add(rsp, 8);
            c.iretq();
        });
        foreach (int vector in vectors)
        {
            ulong stub = Stubs + ((ulong)vector * StubSize);
            machine.Place(stub, c =>
            {
                c.push(vector);
                c.jmp(Common);
            });
            machine.SetGate(vector, dpl: 3, target: stub);
        }

        return new EventLog(machine);
    }

    /// <summary>The lengths of assembled instructions, summed: where each begins, and where the last one ends.</summary>
    public static ulong[] Starts(Action<Assembler> write, ulong at = TestMachine.KernelCode)
    {
        Assembler assembler = new(64);
        write(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        byte[] bytes = stream.ToArray();
        Decoder decoder = Decoder.Create(64, bytes, at);
        List<ulong> starts = [];
        while (decoder.IP - at < (ulong)bytes.Length)
        {
            starts.Add(decoder.IP);
            decoder.Decode();
        }

        return [.. starts, decoder.IP];
    }
}

/// <summary>An interrupt controller of a few lines: vectors wait in order, and may be held back.</summary>
internal sealed class InterruptQueue : IInterruptSource
{
    private readonly Queue<byte> waiting = [];

    public bool HasInterrupt => waiting.Count != 0;

    public byte Acknowledge() => waiting.Dequeue();

    public void Raise(byte vector) => waiting.Enqueue(vector);
}
