using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// What one instruction form does. One body serves both parties: with the processor's port it runs guest code, with the
/// hypervisor's it emulates the instruction that exited.
/// </summary>
/// <remarks>
/// Order inside: read, compute, commit memory, registers, flags. After a failed port call nothing architectural may have changed.
/// </remarks>
internal interface IInstruction
{
    /// <summary>
    /// Whether it must not be inlined into its handler: it passes locals by reference to methods of its own, which would cost the handler its
    /// jump to the next (<see cref="Chain{TInstruction, TPort}"/>).
    /// </summary>
    static virtual bool IsApart => false;

    /// <summary>Executes; <see langword="false"/> when the port or a check refused, with the reason left in <paramref name="vcpu"/>.</summary>
    static abstract bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort;
}

/// <summary>An instruction as a method that its handler calls; see <see cref="IInstruction.IsApart"/>.</summary>
internal readonly struct Apart<TInstruction> : IInstruction
    where TInstruction : struct, IInstruction
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TInstruction.Execute<TPort>(ref cpu, ref op, vcpu);
}

/// <summary>An instruction that ends its block: it sets RIP itself.</summary>
internal interface ITerminator
{
    /// <summary>
    /// Executes; on <see cref="BlockExit.Branch"/> <see cref="CpuState.Rip"/> holds the target. Any other outcome but
    /// <see cref="BlockExit.Halt"/> and <see cref="BlockExit.Stop"/> leaves the instruction unretired.
    /// </summary>
    static abstract BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort;
}
