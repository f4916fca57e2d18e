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
    /// <summary>Executes; <see langword="false"/> when the port or a check refused, with the reason left in <paramref name="vcpu"/>.</summary>
    static abstract bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort;
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
