using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds XSAVE and its kin and protection keys.</summary>
internal static class ExtendedStateBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Xsave => OpBinder<TPort>.Straight<SaveExtendedState<PlainSave, False>>(ref op),
        Mnemonic.Xsave64 => OpBinder<TPort>.Straight<SaveExtendedState<PlainSave, True>>(ref op),
        Mnemonic.Xsaveopt => OpBinder<TPort>.Straight<SaveExtendedState<OptimizedSave, False>>(ref op),
        Mnemonic.Xsaveopt64 => OpBinder<TPort>.Straight<SaveExtendedState<OptimizedSave, True>>(ref op),
        Mnemonic.Xsavec => OpBinder<TPort>.Straight<SaveExtendedState<CompactedSave, False>>(ref op),
        Mnemonic.Xsavec64 => OpBinder<TPort>.Straight<SaveExtendedState<CompactedSave, True>>(ref op),
        Mnemonic.Xsaves => OpBinder<TPort>.Straight<SaveExtendedState<SupervisorSave, False>>(ref op),
        Mnemonic.Xsaves64 => OpBinder<TPort>.Straight<SaveExtendedState<SupervisorSave, True>>(ref op),
        Mnemonic.Xrstor => OpBinder<TPort>.Straight<RestoreExtendedState<False, False>>(ref op),
        Mnemonic.Xrstor64 => OpBinder<TPort>.Straight<RestoreExtendedState<False, True>>(ref op),
        Mnemonic.Xrstors => OpBinder<TPort>.Straight<RestoreExtendedState<True, False>>(ref op),
        Mnemonic.Xrstors64 => OpBinder<TPort>.Straight<RestoreExtendedState<True, True>>(ref op),
        Mnemonic.Xgetbv => OpBinder<TPort>.Straight<ReadExtendedControl>(ref op),
        Mnemonic.Xsetbv => OpBinder<TPort>.Serializing<Serialized<WriteExtendedControl>>(ref op),
        Mnemonic.Rdpkru => OpBinder<TPort>.Straight<ReadProtectionKeys>(ref op),
        Mnemonic.Wrpkru => OpBinder<TPort>.Serializing<Serialized<WriteProtectionKeys>>(ref op),
        _ => SystemLaterBinder<TPort>.Bind(i, ref op),
    };
}
