using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Puts before a port what the mode asks for, checks and segmentation, and binds instructions to the whole.</summary>
internal static class PortSelector<TPort>
    where TPort : struct, IMemoryPort
{
    /// <inheritdoc cref="OpBinder{TPort}.Bind"/>
    public static BindKind Bind(in Instruction instruction, ref Op op, BlockMode mode, CpuFeatures features)
    {
        bool segmented = (mode & (BlockMode.Code16 | BlockMode.Code32)) != 0;
        bool isChecked = (mode & BlockMode.Checked) != 0;
        return (segmented, isChecked) switch
        {
            (false, false) => OpBinder<TPort>.Bind(instruction, ref op, mode, features),
            (false, true) => OpBinder<CheckedPort<TPort>>.Bind(instruction, ref op, mode, features),
            (true, false) => OpBinder<Segmented<TPort>>.Bind(instruction, ref op, mode, features),
            (true, true) => OpBinder<Segmented<CheckedPort<TPort>>>.Bind(instruction, ref op, mode, features),
        };
    }
}
