using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>What a stub keeps out of registers while the tested instruction owns all of them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StubControl
{
    public ulong State;
    public ulong HostRsp;
    public ulong TestedRdi;
    public uint HostMxcsr;
    public uint Taken;
}

/// <summary>
/// The code before and after a tested instruction, as position-independent bytes.
/// Entry follows the System V ABI: RDI points to the <see cref="HostState"/>, of which the <see cref="XsaveArea"/> holds all but the general registers and RFLAGS.
/// </summary>
internal sealed unsafe class StubTemplate
{
    private static readonly AssemblerRegister64[] General =
        [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    private static readonly AssemblerRegister64[] CalleeSaved = [rbx, rbp, r12, r13, r14, r15];

    private readonly StubControl* control;
    private readonly XsaveArea* area;

    public StubTemplate(StubControl* control, XsaveArea* area, bool ownStackPointer)
    {
        this.control = control;
        this.area = area;
        Prologue = BuildPrologue(ownStackPointer);
        Epilogue = BuildEpilogue(ownStackPointer);
        (NotTaken, Taken) = BuildBranchTails();
    }

    public byte[] Prologue { get; }

    public byte[] Epilogue { get; }

    /// <summary>Falls in after a branch that was not taken, and skips <see cref="Taken"/>.</summary>
    public byte[] NotTaken { get; }

    /// <summary>The target of the tested branch; falls into <see cref="Epilogue"/>.</summary>
    public byte[] Taken { get; }

    private byte[] BuildPrologue(bool ownStackPointer)
    {
        Assembler c = new(64);
        foreach (AssemblerRegister64 register in CalleeSaved)
        {
            c.push(register);
        }

        c.mov(__qword_ptr[(long)&control->State], rdi);
        c.mov(__qword_ptr[(long)&control->HostRsp], rsp);
        c.stmxcsr(__dword_ptr[(long)&control->HostMxcsr]);
        c.mov(eax, XsaveArea.Mask);
        c.xor(edx, edx);
        c.xrstor64(__[(long)area]);

        for (int i = 0; i < 16; i++)
        {
            if (General[i] != rsp && General[i] != rdi)
            {
                c.mov(General[i], __qword_ptr[rdi + 8 * i]);
            }
        }

        c.push(__qword_ptr[rdi + HostState.RflagsOffset]);
        c.popfq();
        if (ownStackPointer)
        {
            c.mov(rsp, __qword_ptr[rdi + 8 * 4]);
        }

        c.mov(rdi, __qword_ptr[rdi + 8 * 7]);
        return Bytes(c);
    }

    private byte[] BuildEpilogue(bool ownStackPointer)
    {
        Assembler c = new(64);
        c.mov(__qword_ptr[(long)&control->TestedRdi], rdi);
        c.mov(rdi, __qword_ptr[(long)&control->State]);
        if (ownStackPointer)
        {
            c.mov(__qword_ptr[rdi + 8 * 4], rsp);
        }

        c.mov(rsp, __qword_ptr[(long)&control->HostRsp]);
        c.pushfq();
        c.pop(__qword_ptr[rdi + HostState.RflagsOffset]);
        c.cld();
        for (int i = 0; i < 16; i++)
        {
            if (General[i] != rsp && General[i] != rdi)
            {
                c.mov(__qword_ptr[rdi + 8 * i], General[i]);
            }
        }

        c.mov(rax, __qword_ptr[(long)&control->TestedRdi]);
        c.mov(__qword_ptr[rdi + 8 * 7], rax);
        c.mov(eax, XsaveArea.Mask);
        c.xor(edx, edx);
        c.xsave64(__[(long)area]);
        c.fninit();
        if ((XsaveArea.Mask & 4) != 0)
        {
            c.vzeroupper();
        }

        c.ldmxcsr(__dword_ptr[(long)&control->HostMxcsr]);
        for (int i = CalleeSaved.Length - 1; i >= 0; i--)
        {
            c.pop(CalleeSaved[i]);
        }

        c.ret();
        return Bytes(c);
    }

    private (byte[] NotTaken, byte[] Taken) BuildBranchTails()
    {
        Assembler taken = new(64);
        taken.mov(__dword_ptr[(long)&control->Taken], 1);
        byte[] takenBytes = Bytes(taken);

        Assembler notTaken = new(64);
        notTaken.mov(__dword_ptr[(long)&control->Taken], 0);
        byte[] jumpOver = [0xEB, (byte)takenBytes.Length];
        return ([.. Bytes(notTaken), .. jumpOver], takenBytes);
    }

    private static byte[] Bytes(Assembler assembler)
    {
        MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }
}
