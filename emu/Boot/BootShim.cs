using Iced.Intel;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Emulation;

/// <summary>The few instructions that stand between an image and the machine, at <see cref="BootAddresses.Shim"/>.</summary>
/// <param name="Code">The instructions.</param>
/// <param name="PageFaultHandler">Where page faults inside it go; null where it has no handler.</param>
internal sealed record BootShim(byte[] Code, Gva? PageFaultHandler)
{
    private const byte DebugPort = (byte)DebugConsolePort.Port;
    private const int WriteCall = 1, ExitCall = 60, ExitGroupCall = 231;
    private const int BadDescriptor = -9, BadAddress = -14, NoSuchCall = -38;

    /// <summary>Where the entry of a ring-0 image returns to: ends the run with EAX as exit value.</summary>
    public static BootShim Return()
    {
        var c = new Assembler(64);
        EndWith(c, eax);
        return Assemble(c, null);
    }

    /// <summary>
    /// The target of SYSCALL, with Linux numbers. It runs on the system stack, at CPL 0 with IF = 0, and keeps every register but
    /// RAX, RCX and R11.
    /// </summary>
    /// <remarks>
    /// An IDT is in force only while a user buffer is being read. A page fault there ends the write early, or with -EFAULT; a fault
    /// anywhere else still finds IDT limit 0 and shuts the machine down with itself as the first cause.
    /// </remarks>
    public static BootShim SystemCalls()
    {
        var c = new Assembler(64);
        Label write = c.CreateLabel(), exit = c.CreateLabel(), leave = c.CreateLabel(), next = c.CreateLabel(), copied = c.CreateLabel();
        Label restore = c.CreateLabel(), unreadable = c.CreateLabel(), pageFault = c.CreateLabel(), badDescriptor = c.CreateLabel();
        ulong frame = BootAddresses.SystemStackTop.Value - 2 * sizeof(ulong);

        c.mov(__qword_ptr[BootDescriptors.CallerStack.Value], rsp);
        c.mov(rsp, BootAddresses.SystemStackTop.Value);
        c.cmp(eax, WriteCall);
        c.je(write);
        c.cmp(eax, ExitCall);
        c.je(exit);
        c.cmp(eax, ExitGroupCall);
        c.je(exit);
        c.mov(rax, (long)NoSuchCall);
        c.Label(ref leave);
        c.mov(rsp, __qword_ptr[BootDescriptors.CallerStack.Value]);
        c.sysretq();

        c.Label(ref write);
        c.lea(eax, __[rdi - 1]);
        c.cmp(eax, 1);
        c.ja(badDescriptor);
        c.push(rsi);
        c.push(rdx);
        c.mov(rax, rsi);
        c.add(rax, rdx);
        c.jb(unreadable);
        c.shr(rax, 47);
        c.jne(unreadable);
        c.test(rdx, rdx);
        c.je(copied);
        c.lidt(__[BootDescriptors.ShimIdtr.Value]);
        c.stac();
        c.Label(ref next);
        c.mov(al, __byte_ptr[rsi]);
        c.@out(DebugPort, al);
        c.inc(rsi);
        c.dec(rdx);
        c.jne(next);
        c.clac();
        c.lidt(__[BootDescriptors.EmptyIdtr.Value]);
        c.Label(ref copied);
        c.mov(rax, __qword_ptr[rsp]);
        c.Label(ref restore);
        c.pop(rdx);
        c.pop(rsi);
        c.jmp(leave);

        c.Label(ref pageFault);
        c.clac();
        c.lidt(__[BootDescriptors.EmptyIdtr.Value]);
        c.mov(rsp, frame);
        c.mov(rax, __qword_ptr[rsp]);
        c.sub(rax, rdx);
        c.jne(restore);
        c.Label(ref unreadable);
        c.mov(rax, (long)BadAddress);
        c.jmp(restore);

        c.Label(ref badDescriptor);
        c.mov(rax, (long)BadDescriptor);
        c.jmp(leave);

        c.Label(ref exit);
        EndWith(c, edi);
        return Assemble(c, pageFault);
    }

    private static void EndWith(Assembler c, AssemblerRegister32 value)
    {
        Label halt = c.CreateLabel();
        c.test(value, value);
        c.je(halt);
        c.mov(eax, value);
        c.mov(edx, (uint)ExitPort.Port);
        c.@out(dx, eax);
        c.Label(ref halt);
        c.cli();
        c.hlt();
        c.jmp(halt);
    }

    private static BootShim Assemble(Assembler c, Label? pageFault)
    {
        using var code = new MemoryStream();
        AssemblerResult result = c.Assemble(
            new StreamCodeWriter(code), BootAddresses.Shim.Value, BlockEncoderOptions.ReturnNewInstructionOffsets);
        Gva? handler = pageFault is { } label ? new Gva(result.GetLabelRIP(label)) : null;
        return new BootShim(code.ToArray(), handler);
    }
}
