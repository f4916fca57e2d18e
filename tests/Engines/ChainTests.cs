using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>How handlers hand over to the next one.</summary>
[TestFixture]
public sealed unsafe class ChainTests
{
    private const ulong Data = 0x50_0000;

    [ThreadStatic]
    private static nuint stackAtProbe;

    [Test]
    public void EveryHandlerGoesOnByAJump()
    {
        if (typeof(Vcpu).Assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true })
        {
            Assert.Ignore("only optimized code has tail calls");
        }

        using PagedGuest guest = new();
        guest.EnableAvx();
        guest.Map(Data, 0x10_0000, length: 0x2000);
        Op* ops = (Op*)NativeMemory.AlignedAlloc(2 * (nuint)sizeof(Op), 64);
        try
        {
            ops[0] = new Op { Handler = &Probe };
            nuint expected = StackAtProbe(guest.Cpu, ops);
            HashSet<nint> seen = [];
            List<string> calls = [];
            int arrived = 0;
            foreach (Instruction instruction in OpcodeSpace.FindForms())
            {
                ops[0] = new Op { Link = guest.Cpu.Code.Nowhere, Length = (byte)instruction.Length };
                ops[1] = new Op { Handler = &Probe, Link = guest.Cpu.Code.Nowhere };
                BindKind kind = OpBinder<ProcessorPort>.Bind(instruction, ref ops[0], BlockMode.None, guest.Cpu.Features);
                if (kind != BindKind.Straight || !seen.Add((nint)ops[0].Handler))
                {
                    continue;
                }

                SetRegisters(guest.Cpu);
                nuint stack = StackAtProbe(guest.Cpu, ops);
                arrived += stack == 0 ? 0 : 1;
                if (stack != 0 && stack != expected)
                {
                    calls.Add(instruction.ToString());
                }
            }

            Assert.That(calls, Is.Empty, string.Join('\n', calls));
            Assert.That(arrived, Is.GreaterThan(seen.Count * 9 / 10));
        }
        finally
        {
            NativeMemory.AlignedFree(ops);
        }
    }

    /// <summary>Memory at every register, 1 in every lane and every x87 register; counts and addresses at once.</summary>
    private static void SetRegisters(Vcpu cpu)
    {
        ref CpuState state = ref cpu.State;
        for (int i = 0; i < GeneralRegister.Count; i++)
        {
            state.Gpr[i] = Data + 0x800;
        }

        for (int i = 0; i < 16; i++)
        {
            state.Vector[i] = Vector512.Create(1.0f).AsByte();
        }

        state.X87.Control = 0x37F;
        state.X87.Status = 0;
        state.X87.Tags = 0xFF;
        for (int i = 0; i < 8; i++)
        {
            state.X87.Registers[i] = new X87Register(16383, 1UL << 63);
        }

        state.Mxcsr = 0x1FA0;
        state.Meter = 64;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static nuint StackAtProbe(Vcpu cpu, Op* op)
    {
        stackAtProbe = 0;
        op->Handler(cpu.StatePointer, op, cpu);
        return stackAtProbe;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static BlockExit Probe(CpuState* cpu, Op* op, Vcpu vcpu)
    {
        int local = 0;
        stackAtProbe = (nuint)(&local);
        return BlockExit.Branch;
    }
}
