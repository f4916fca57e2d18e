namespace Quadwalk.Emulation;

/// <summary>Connects the run loop to a <see cref="Tracer"/>.</summary>
internal readonly struct TracePolicy(Tracer tracer) : ITracePolicy
{
    /// <inheritdoc/>
    public static bool Enabled => true;

    /// <inheritdoc/>
    public void Before(Vcpu vcpu) => tracer.Before(vcpu);

    /// <inheritdoc/>
    public void After(Vcpu vcpu, BlockExit exit) => tracer.After(vcpu, exit);

    /// <inheritdoc/>
    public void AfterEmulation(Vcpu vcpu, BlockExit exit) => tracer.AfterEmulation(vcpu, exit);

    /// <inheritdoc/>
    public void Fault(Vcpu vcpu, in GuestFault fault) => tracer.Fault(vcpu, fault);
}
