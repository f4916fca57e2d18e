using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>Compares the architectural state of two processors.</summary>
internal static unsafe class StateComparison
{
    private const uint MxcsrFlags = 0x3f;

    private static readonly string[] general =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    private static readonly string[] segments = ["es", "cs", "ss", "ds", "fs", "gs"];

    /// <summary>Whether both are the same in everything.</summary>
    public static bool AreSame(Vcpu reference, Vcpu subject)
    {
        CpuState* a = reference.StatePointer;
        CpuState* b = subject.StatePointer;
        return a->Rip == b->Rip && reference.Rflags == subject.Rflags && General(a).SequenceEqual(General(b)) && Rest(a).SequenceEqual(Rest(b));
    }

    /// <summary>In what they differ.</summary>
    /// <param name="reference">One processor.</param>
    /// <param name="subject">The other.</param>
    /// <param name="undefined">The bits of RFLAGS that may differ.</param>
    /// <param name="mxcsrFlags">Whether the exception flags of MXCSR may differ.</param>
    public static List<ComparedValue> Compare(Vcpu reference, Vcpu subject, uint undefined, bool mxcsrFlags)
    {
        List<ComparedValue> found = [];
        CpuState* a = reference.StatePointer;
        CpuState* b = subject.StatePointer;
        Word("rip", a->Rip, b->Rip);
        for (int i = 0; i < general.Length; i++)
        {
            Word(general[i], a->Gpr[i], b->Gpr[i]);
        }

        Word("rflags", reference.Rflags & ~(ulong)undefined, subject.Rflags & ~(ulong)undefined);
        for (int i = 0; i < 32; i++)
        {
            Wide($"zmm{i}", a->Vector[i], b->Vector[i]);
        }

        uint ignored = mxcsrFlags ? MxcsrFlags : 0;
        Word("mxcsr", a->Mxcsr & ~ignored, b->Mxcsr & ~ignored);
        Word("pkru", a->Pkru, b->Pkru);
        for (int i = 0; i < 8; i++)
        {
            Text($"r{i} of the x87 unit", X87(a->X87.Registers[i]), X87(b->X87.Registers[i]));
        }

        Word("x87 control", a->X87.Control, b->X87.Control);
        Word("x87 status", a->X87.Status, b->X87.Status);
        Word("cpl", a->Cpl, b->Cpl);
        for (int i = 0; i < segments.Length; i++)
        {
            Word(segments[i], a->Segments[i].Selector, b->Segments[i].Selector);
            Word(segments[i] + ".base", a->Segments[i].Base, b->Segments[i].Base);
        }

        Word("cr0", a->Cr0, b->Cr0);
        Word("cr2", a->Cr2, b->Cr2);
        Word("cr3", a->Cr3, b->Cr3);
        Word("cr4", a->Cr4, b->Cr4);
        Word("efer", a->Msr.Efer, b->Msr.Efer);
        if (found.Count == 0 && !SameButFor(a, b, ignored))
        {
            found.Add(new ComparedValue("another system register", "one value", "another"));
        }

        return found;

        void Word(string name, ulong one, ulong other) => Text(name, Hex(one), Hex(other));

        void Wide(string name, Vector512<byte> one, Vector512<byte> other)
        {
            if (one != other)
            {
                found.Add(new ComparedValue(name, Convert.ToHexStringLower(MemoryMarshal.AsBytes(new Span<Vector512<byte>>(ref one))), Convert.ToHexStringLower(MemoryMarshal.AsBytes(new Span<Vector512<byte>>(ref other)))));
            }
        }

        void Text(string name, string one, string other)
        {
            if (one != other)
            {
                found.Add(new ComparedValue(name, one, other));
            }
        }

        static string X87(X87Register register) => string.Create(CultureInfo.InvariantCulture, $"{register.SignExponent:x4}:{register.Significand:x16}");
    }

    /// <summary>Gives the subject the reference's flags, where they may differ.</summary>
    public static void Align(Vcpu reference, Vcpu subject)
    {
        subject.Rflags = reference.Rflags;
        subject.State.Mxcsr = reference.State.Mxcsr;
    }

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    private static bool SameButFor(CpuState* a, CpuState* b, uint mxcsr)
    {
        uint saved = b->Mxcsr;
        b->Mxcsr = (saved & ~mxcsr) | (a->Mxcsr & mxcsr);
        bool same = Rest(a).SequenceEqual(Rest(b));
        b->Mxcsr = saved;
        return same;
    }

    private static ReadOnlySpan<byte> General(CpuState* cpu) => new(&cpu->Gpr, sizeof(GeneralRegisters));

    // SAFETY: the structure is laid out in order, was cleared when it was made, and from Vector to Random has nothing but registers.
    private static ReadOnlySpan<byte> Rest(CpuState* cpu) => new(&cpu->Vector, (int)((byte*)&cpu->Random - (byte*)&cpu->Vector) + sizeof(ulong));
}
