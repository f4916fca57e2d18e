using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>A copy of the registers from before an instruction, and the words for what it changed.</summary>
internal sealed unsafe class RegisterSnapshot
{
    private const int XmmCount = 16;
    private const int VectorStride = 64;

    private readonly ulong[] gpr = new ulong[GeneralRegister.Count];
    private readonly Vector128<ulong>[] xmm = new Vector128<ulong>[XmmCount];
    private readonly ulong[] control = new ulong[ControlCount];
    private readonly ulong[] nowControl = new ulong[ControlCount];
    private LazyFlags flags;
    private ulong systemFlags;

    private const int ControlCount = 10;

    /// <summary>The control registers' names, in the order of <see cref="Controls"/>, eight bytes each.</summary>
    private static ReadOnlySpan<byte> ControlNames =>
        "cr0     cr2     cr3     cr4     cr8     efer    fs.base gs.base mxcsr   cpl     "u8;

    private static ReadOnlySpan<byte> GeneralNames => "rax rcx rdx rbx rsp rbp rsi rdi r8  r9  r10 r11 r12 r13 r14 r15 "u8;

    /// <summary>Takes the copy.</summary>
    public void Capture(CpuState* cpu)
    {
        new ReadOnlySpan<ulong>(&cpu->Gpr, GeneralRegister.Count).CopyTo(gpr);
        for (int i = 0; i < XmmCount; i++)
        {
            xmm[i] = Xmm(cpu, i);
        }

        Controls(cpu, control);
        flags = cpu->Flags;
        systemFlags = cpu->SystemFlags;
    }

    /// <summary>Writes each changed register as <c> name=value</c>, with a blank before it.</summary>
    public void WriteChanges(TraceWriter writer, CpuState* cpu)
    {
        WriteGeneral(writer, cpu);
        WriteFlags(writer, cpu);
        WriteXmm(writer, cpu);
        Controls(cpu, nowControl);
        if (!control.AsSpan().SequenceEqual(nowControl))
        {
            WriteControls(writer);
        }
    }

    private void WriteGeneral(TraceWriter writer, CpuState* cpu)
    {
        ulong* now = (ulong*)&cpu->Gpr;
        ref ulong old = ref MemoryMarshal.GetArrayDataReference(gpr);
        for (int i = 0; i < GeneralRegister.Count; i += Vector256<ulong>.Count)
        {
            Vector256<ulong> equal = Vector256.Equals(Vector256.Load(now + i), Vector256.LoadUnsafe(ref old, (nuint)i));
            for (uint changed = ~equal.ExtractMostSignificantBits() & 0xF; changed != 0; changed &= changed - 1)
            {
                int register = i + BitOperations.TrailingZeroCount(changed);
                WriteName(writer, GeneralNames.Slice(register * 4, 4));
                writer.Hex(now[register], 16);
            }
        }
    }

    private void WriteFlags(TraceWriter writer, CpuState* cpu)
    {
        if (flags.Result == cpu->Flags.Result && flags.Carry == cpu->Flags.Carry && flags.Delta == cpu->Flags.Delta && systemFlags == cpu->SystemFlags)
        {
            return;
        }

        ulong now = cpu->Flags.Word | cpu->SystemFlags;
        if (now == (flags.Word | systemFlags))
        {
            return;
        }

        writer.Write(" flags="u8);
        for (int i = 0; i < 9; i++)
        {
            writer.Write((now >> FlagBits[i] & 1) != 0 ? "ODITSZAPC"u8[i] : (byte)'-');
        }

        WriteRareFlags(writer, now);
    }

    private static ReadOnlySpan<byte> FlagBits => [11, 10, 9, 8, 7, 6, 4, 2, 0];

    private static void WriteRareFlags(TraceWriter writer, ulong now)
    {
        writer.Write((now & Rflags.NT) != 0 ? "+NT"u8 : default);
        writer.Write((now & Rflags.RF) != 0 ? "+RF"u8 : default);
        writer.Write((now & Rflags.AC) != 0 ? "+AC"u8 : default);
        writer.Write((now & Rflags.ID) != 0 ? "+ID"u8 : default);
        if ((now & Rflags.Iopl) != 0)
        {
            writer.Write("+IOPL"u8);
            writer.Decimal((now & Rflags.Iopl) >> Rflags.IoplShift);
        }
    }

    private void WriteXmm(TraceWriter writer, CpuState* cpu)
    {
        Vector128<ulong> difference = Vector128<ulong>.Zero;
        for (int i = 0; i < XmmCount; i++)
        {
            difference |= xmm[i] ^ Xmm(cpu, i);
        }

        for (int i = 0; i < XmmCount && difference != Vector128<ulong>.Zero; i++)
        {
            Vector128<ulong> now = Xmm(cpu, i);
            if (now != xmm[i])
            {
                writer.Write(" xmm"u8);
                writer.Decimal((ulong)i);
                writer.Write((byte)'=');
                writer.Hex(now[1], 16);
                writer.Hex(now[0], 16);
            }
        }
    }

    private void WriteControls(TraceWriter writer)
    {
        for (int i = 0; i < ControlCount; i++)
        {
            if (control[i] != nowControl[i])
            {
                WriteName(writer, ControlNames.Slice(i * 8, 8));
                writer.Hex(nowControl[i], i switch { ControlCount - 1 => 1, ControlCount - 2 => 8, _ => 16 });
            }
        }
    }

    private static void WriteName(TraceWriter writer, ReadOnlySpan<byte> padded)
    {
        writer.Write((byte)' ');
        writer.Write(padded.TrimEnd((byte)' '));
        writer.Write((byte)'=');
    }

    private static void Controls(CpuState* cpu, ulong[] words)
    {
        words[0] = cpu->Cr0;
        words[1] = cpu->Cr2;
        words[2] = cpu->Cr3;
        words[3] = cpu->Cr4;
        words[4] = cpu->Cr8;
        words[5] = cpu->Msr.Efer;
        words[6] = cpu->Segments[SegmentIndex.Fs].Base;
        words[7] = cpu->Segments[SegmentIndex.Gs].Base;
        words[8] = cpu->Mxcsr;
        words[9] = cpu->Cpl;
    }

    private static Vector128<ulong> Xmm(CpuState* cpu, int index) => Vector128.Load((ulong*)((byte*)&cpu->Vector + (index * VectorStride)));
}
