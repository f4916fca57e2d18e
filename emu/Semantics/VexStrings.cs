using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>VPCMPESTRM and VPCMPISTRM: as <see cref="MatchMask"/>, with the rest of register 0 cleared.</summary>
internal readonly struct MatchMaskVex : IStringOutput
{
    /// <inheritdoc/>
    public static void Write(ref CpuState cpu, uint found, int control)
    {
        MatchMask.Write(ref cpu, found, control);
        VexRegister.Write(ref cpu, OperandLayout.Vector, CpuState.At<Vector128<byte>>(ref cpu, OperandLayout.Vector));
    }
}
