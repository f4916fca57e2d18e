using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>XRSTOR and XRSTORS (SDM Vol. 1, 13.8 and 13.12): everything is read and checked before anything is loaded.</summary>
internal readonly struct RestoreExtendedState<TSupervisor, TWide> : IInstruction
    where TSupervisor : struct, IFlag
    where TWide : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!ExtendedState.Check<TPort>(ref cpu, vcpu, gva, TSupervisor.Value)
            || !TPort.Read(ref cpu, vcpu, gva + ExtendedStateArea.Header, out Vector512<ulong> header))
        {
            return false;
        }

        ulong enabled = ExtendedState.Enabled(ref cpu, TSupervisor.Value);
        if (!IsHeaderValid(vcpu, header, enabled))
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        ulong requested = enabled & SystemOperand.EdxEax(ref cpu);
        return Restore<TPort>(ref cpu, vcpu, gva, requested & header[0], requested & ~header[0], header[1]);
    }

    private static bool IsHeaderValid(Vcpu vcpu, Vector512<ulong> header, ulong enabled)
    {
        ulong present = header[0], format = header[1], next = header[2];
        if ((format & StateComponents.Compacted) == 0)
        {
            return !TSupervisor.Value && format == 0 && next == 0 && (present & ~enabled) == 0;
        }

        ulong components = format & ~StateComponents.Compacted;
        bool reserved = Vector512.GreaterThanAny(header & Vector512.Create(0, 0, ~0UL, ~0UL, ~0UL, ~0UL, ~0UL, ~0UL), Vector512<ulong>.Zero);
        return vcpu.Features.Has(CpuFeature.Xsavec) && (components & ~enabled) == 0 && (present & ~components) == 0 && !reserved;
    }

    private static bool Restore<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, ulong loads, ulong clears, ulong format)
        where TPort : struct, IMemoryPort
    {
        X87State x87 = ExtendedStateArea.InitialX87();
        int registers = ExtendedStateArea.RegisterCount<TPort>();
        Span<Vector128<byte>> low = stackalloc Vector128<byte>[registers], high = stackalloc Vector128<byte>[registers];
        uint mxcsr = SseState.MxcsrDefault, pkru = 0;
        low.Clear();
        high.Clear();

        // The standard format loads MXCSR with SSE or AVX whatever XSTATE_BV says; the compacted one takes it as part of SSE.
        bool compacted = (format & StateComponents.Compacted) != 0;
        ulong changes = loads | clears;
        bool setsMxcsr = (changes & (compacted ? StateComponents.Sse : StateComponents.Sse | StateComponents.Avx)) != 0;
        bool readsMxcsr = compacted ? (loads & StateComponents.Sse) != 0 : setsMxcsr;
        if ((readsMxcsr && !TPort.Read(ref cpu, vcpu, gva + ExtendedStateArea.Mxcsr, out mxcsr))
            || ((loads & StateComponents.X87) != 0 && !ExtendedStateArea.TryReadX87<TPort>(ref cpu, vcpu, gva, TWide.Value, out x87))
            || ((loads & StateComponents.Sse) != 0 && !ExtendedStateArea.TryReadXmm<TPort>(ref cpu, vcpu, gva, low))
            || ((loads & StateComponents.Avx) != 0
                && !ExtendedStateArea.TryReadVectors<TPort>(ref cpu, vcpu, gva + ExtendedStateArea.Offset(format, StateComponents.AvxNumber), high))
            || ((loads & StateComponents.Pkru) != 0
                && !TPort.Read(ref cpu, vcpu, gva + ExtendedStateArea.Offset(format, StateComponents.PkruNumber), out pkru)))
        {
            return false;
        }

        if ((mxcsr & ~SseState.MxcsrMask) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        cpu.Mxcsr = setsMxcsr ? mxcsr : cpu.Mxcsr;
        cpu.X87 = (changes & StateComponents.X87) != 0 ? x87 : cpu.X87;
        for (int i = 0; i < registers; i++)
        {
            ref Vector128<byte> xmm = ref ExtendedStateArea.XmmOf(ref cpu, i);
            ref Vector128<byte> upper = ref ExtendedStateArea.YmmHighOf(ref cpu, i);
            xmm = (changes & StateComponents.Sse) != 0 ? low[i] : xmm;
            upper = (changes & StateComponents.Avx) != 0 ? high[i] : upper;
        }

        if ((changes & StateComponents.Pkru) != 0)
        {
            ProtectionKeys.Set(ref cpu, vcpu, pkru);
        }

        return true;
    }
}
