using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the VEX-encoded vector instructions: AVX, AVX2, FMA, F16C and the VEX forms of AES and PCLMULQDQ.</summary>
internal static class AvxBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        if (i.Encoding != EncodingKind.VEX || !IsVector(i))
        {
            return BindKind.Unsupported;
        }

        if ((mode & BlockMode.AvxUndefined) != 0)
        {
            op.Immediate = (ulong)FaultRule.AvxDisabled;
            return OpBinder<TPort>.Serializing<RaiseUndefined>(ref op);
        }

        if ((mode & BlockMode.SseNotAvailable) != 0)
        {
            return OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op);
        }

        BindKind kind = AvxMoveBinder<TPort>.Bind(i, ref op);
        kind = kind == BindKind.Unsupported ? AvxPermuteBinder<TPort>.Bind(i, ref op) : kind;
        kind = kind == BindKind.Unsupported ? AvxFloatBinder<TPort>.Bind(i, ref op) : kind;
        kind = kind == BindKind.Unsupported ? AvxIntegerBinder<TPort>.Bind(i, ref op) : kind;
        return kind == BindKind.Unsupported ? FmaBinder<TPort>.Bind(i, ref op) : kind;
    }

    private static bool IsVector(in Instruction i)
    {
        foreach (CpuidFeature feature in i.CpuidFeatures)
        {
            if (feature is CpuidFeature.AVX or CpuidFeature.AVX2 or CpuidFeature.FMA or CpuidFeature.F16C)
            {
                return true;
            }
        }

        return false;
    }
}
