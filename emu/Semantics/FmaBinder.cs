using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the fused multiply-adds.</summary>
internal static class FmaBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Vfmaddsub132ps or Mnemonic.Vfmaddsub132pd =>
            Typed<Fused132, FusedAddSubtract>(i, ref op),
        Mnemonic.Vfmaddsub213ps or Mnemonic.Vfmaddsub213pd =>
            Typed<Fused213, FusedAddSubtract>(i, ref op),
        Mnemonic.Vfmaddsub231ps or Mnemonic.Vfmaddsub231pd =>
            Typed<Fused231, FusedAddSubtract>(i, ref op),
        Mnemonic.Vfmsubadd132ps or Mnemonic.Vfmsubadd132pd =>
            Typed<Fused132, FusedSubtractAdd>(i, ref op),
        Mnemonic.Vfmsubadd213ps or Mnemonic.Vfmsubadd213pd =>
            Typed<Fused213, FusedSubtractAdd>(i, ref op),
        Mnemonic.Vfmsubadd231ps or Mnemonic.Vfmsubadd231pd =>
            Typed<Fused231, FusedSubtractAdd>(i, ref op),
        Mnemonic.Vfmadd132ps or Mnemonic.Vfmadd132pd or Mnemonic.Vfmadd132ss or Mnemonic.Vfmadd132sd =>
            Typed<Fused132, FusedAdd>(i, ref op),
        Mnemonic.Vfmadd213ps or Mnemonic.Vfmadd213pd or Mnemonic.Vfmadd213ss or Mnemonic.Vfmadd213sd =>
            Typed<Fused213, FusedAdd>(i, ref op),
        Mnemonic.Vfmadd231ps or Mnemonic.Vfmadd231pd or Mnemonic.Vfmadd231ss or Mnemonic.Vfmadd231sd =>
            Typed<Fused231, FusedAdd>(i, ref op),
        Mnemonic.Vfmsub132ps or Mnemonic.Vfmsub132pd or Mnemonic.Vfmsub132ss or Mnemonic.Vfmsub132sd =>
            Typed<Fused132, FusedSubtract>(i, ref op),
        Mnemonic.Vfmsub213ps or Mnemonic.Vfmsub213pd or Mnemonic.Vfmsub213ss or Mnemonic.Vfmsub213sd =>
            Typed<Fused213, FusedSubtract>(i, ref op),
        Mnemonic.Vfmsub231ps or Mnemonic.Vfmsub231pd or Mnemonic.Vfmsub231ss or Mnemonic.Vfmsub231sd =>
            Typed<Fused231, FusedSubtract>(i, ref op),
        Mnemonic.Vfnmadd132ps or Mnemonic.Vfnmadd132pd or Mnemonic.Vfnmadd132ss or Mnemonic.Vfnmadd132sd =>
            Typed<Fused132, FusedNegatedAdd>(i, ref op),
        Mnemonic.Vfnmadd213ps or Mnemonic.Vfnmadd213pd or Mnemonic.Vfnmadd213ss or Mnemonic.Vfnmadd213sd =>
            Typed<Fused213, FusedNegatedAdd>(i, ref op),
        Mnemonic.Vfnmadd231ps or Mnemonic.Vfnmadd231pd or Mnemonic.Vfnmadd231ss or Mnemonic.Vfnmadd231sd =>
            Typed<Fused231, FusedNegatedAdd>(i, ref op),
        Mnemonic.Vfnmsub132ps or Mnemonic.Vfnmsub132pd or Mnemonic.Vfnmsub132ss or Mnemonic.Vfnmsub132sd =>
            Typed<Fused132, FusedNegatedSubtract>(i, ref op),
        Mnemonic.Vfnmsub213ps or Mnemonic.Vfnmsub213pd or Mnemonic.Vfnmsub213ss or Mnemonic.Vfnmsub213sd =>
            Typed<Fused213, FusedNegatedSubtract>(i, ref op),
        Mnemonic.Vfnmsub231ps or Mnemonic.Vfnmsub231pd or Mnemonic.Vfnmsub231ss or Mnemonic.Vfnmsub231sd =>
            Typed<Fused231, FusedNegatedSubtract>(i, ref op),
        _ => BindKind.Unsupported,
    };

    /// <summary>VEX.W is the format; scalar forms ignore VEX.L.</summary>
    private static BindKind Typed<TOrder, TSigns>(in Instruction i, ref Op op)
        where TOrder : struct, IFusedOrder
        where TSigns : struct, IFusedSigns
    {
        OpCodeInfo info = i.OpCode;
        if (info.IsLIG)
        {
            return info.W == 0
                ? VexForm<TPort>.Bind<FusedVex<TOrder, TSigns, float>, float, Vector128<float>>(i, ref op)
                : VexForm<TPort>.Bind<FusedVex<TOrder, TSigns, double>, double, Vector128<double>>(i, ref op);
        }

        return info.W == 0
            ? VexForm<TPort>.Same<FusedVex<TOrder, TSigns, float>, float>(i, ref op)
            : VexForm<TPort>.Same<FusedVex<TOrder, TSigns, double>, double>(i, ref op);
    }
}
