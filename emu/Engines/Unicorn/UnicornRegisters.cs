using System.Numerics;
using System.Runtime.Intrinsics;
using Unicorn.Net;

namespace Quadwalk.Emulation;

/// <summary>
/// Takes the registers that Unicorn's instructions use to it and back: the general registers, RFLAGS' status flags and DF, the bases of FS and GS, and the
/// sixteen XMM registers with MXCSR's rounding. What Unicorn already has is not sent again.
/// </summary>
internal sealed unsafe class UnicornRegisters
{
    private const int VectorCount = 16;
    private const ulong Flags = Rflags.Status | Rflags.DF;

    private static readonly X86Register[] general =
    [
        X86Register.Rax, X86Register.Rcx, X86Register.Rdx, X86Register.Rbx, X86Register.Rsp, X86Register.Rbp, X86Register.Rsi, X86Register.Rdi,
        X86Register.R8, X86Register.R9, X86Register.R10, X86Register.R11, X86Register.R12, X86Register.R13, X86Register.R14, X86Register.R15,
        X86Register.Rflags, X86Register.Rip,
    ];

    private readonly Vcpu vcpu;
    private readonly UnicornEngine engine;
    private readonly ulong[] values = new ulong[general.Length];
    private readonly Vector128<ulong>[] vectors = new Vector128<ulong>[VectorCount];
    private ulong fsBase;
    private ulong gsBase;
    private uint mxcsr;
    private bool known;

    public UnicornRegisters(Vcpu vcpu, UnicornEngine engine)
    {
        this.vcpu = vcpu;
        this.engine = engine;
    }

    /// <summary>Unicorn's registers are no longer what was sent and received.</summary>
    public void Forget() => known = false;

    /// <summary>Sends what differs; RIP is for the run to say.</summary>
    public void Send()
    {
        CpuState* cpu = vcpu.StatePointer;
        new ReadOnlySpan<ulong>(&cpu->Gpr, GeneralRegister.Count).CopyTo(values);
        values[GeneralRegister.Count] = (cpu->Flags.Word & Rflags.Status) | (cpu->SystemFlags & Rflags.DF) | Rflags.Fixed;
        int count = GeneralRegister.Count + 1;
        engine.WriteRegisters(general.AsSpan(0, count), values.AsSpan(0, count));
        ulong fs = cpu->Segments[SegmentIndex.Fs].Base;
        if (!known || fs != fsBase)
        {
            engine.WriteRegister(X86Register.FsBase, fsBase = fs);
        }

        ulong gs = cpu->Segments[SegmentIndex.Gs].Base;
        if (!known || gs != gsBase)
        {
            engine.WriteRegister(X86Register.GsBase, gsBase = gs);
        }

        if (!known || cpu->Mxcsr != mxcsr)
        {
            engine.WriteValue(X86Register.Mxcsr, mxcsr = cpu->Mxcsr);
        }

        for (int i = 0; i < VectorCount; i++)
        {
            Vector128<ulong> value = Xmm(cpu, i);
            if (!known || value != vectors[i])
            {
                engine.WriteValue(X86Register.Xmm0 + i, vectors[i] = value);
            }
        }

        known = true;
    }

    /// <summary>Takes back what Unicorn's instructions may have changed.</summary>
    /// <param name="written">A bit for each XMM register that they wrote.</param>
    public void Receive(uint written)
    {
        CpuState* cpu = vcpu.StatePointer;
        engine.ReadRegisters(general, values);
        values.AsSpan(0, GeneralRegister.Count).CopyTo(new Span<ulong>(&cpu->Gpr, GeneralRegister.Count));
        ulong flags = values[GeneralRegister.Count];
        cpu->Flags.Word = flags & Rflags.Status;
        cpu->SystemFlags = (cpu->SystemFlags & ~Rflags.DF) | (flags & Rflags.DF);
        cpu->Rip = values[GeneralRegister.Count + 1];
        for (uint left = written; left != 0; left &= left - 1)
        {
            int i = BitOperations.TrailingZeroCount(left);
            vectors[i] = engine.ReadValue<Vector128<ulong>>(X86Register.Xmm0 + i);
            cpu->Vector[i] = cpu->Vector[i].WithLower(cpu->Vector[i].GetLower().WithLower(vectors[i].AsByte()));
        }
    }

    private static Vector128<ulong> Xmm(CpuState* cpu, int i) => cpu->Vector[i].GetLower().GetLower().AsUInt64();
}
