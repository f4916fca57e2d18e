using System.Runtime.InteropServices;
using Iced.Intel;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>An x87 unit that a test sets up by hand, and memory at RBX.</summary>
internal sealed unsafe class X87Bench : IDisposable
{
    public const ulong Rip = 0x1000;
    public const int MemorySize = 1024;
    public const byte Untouched = 0xA5;

    public X87Bench()
    {
        Memory = (byte*)NativeMemory.AlignedAlloc(MemorySize, 64);
        NativeMemory.Fill(Memory, MemorySize, Untouched);
        State.Gpr[GeneralRegister.Rbx] = Address;
    }

    public SingleInstruction Instruction { get; } = new();

    public ref CpuState State => ref Instruction.Cpu.State;

    public ref X87State Unit => ref Instruction.Cpu.State.X87;

    public byte* Memory { get; }

    public ulong Address => (ulong)Memory;

    public GuestFault Fault => Instruction.Cpu.PendingFault;

    /// <summary>The status word with TOP.</summary>
    public uint Status => X87Unit.StatusWord(ref State);

    /// <summary>Makes the stack these values, ST(0) first, with TOP 3.</summary>
    public void Fill(params ReadOnlySpan<UInt128> values)
    {
        Unit.Top = 3;
        Unit.Tags = 0;
        for (int i = 0; i < values.Length; i++)
        {
            X87Unit.Write(ref State, i, new X87Register((uint)(values[i] >> 64), (ulong)values[i]));
        }
    }

    /// <summary>ST(<paramref name="index"/>).</summary>
    public UInt128 St(int index)
    {
        X87Register value = X87Unit.St(ref State, index);
        return new UInt128(value.SignExponent, value.Significand);
    }

    public BlockExit Execute(Action<Assembler> code, BlockMode mode = BlockMode.None) => Instruction.Execute(Assemble(code), Rip, out _, mode);

    public bool IsUntouched => !new Span<byte>(Memory, MemorySize).ContainsAnyExcept(Untouched);

    public static byte[] Assemble(Action<Assembler> code)
    {
        Assembler assembler = new(64);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), Rip);
        return stream.ToArray();
    }

    public void Dispose()
    {
        Instruction.Dispose();
        NativeMemory.AlignedFree(Memory);
    }
}
