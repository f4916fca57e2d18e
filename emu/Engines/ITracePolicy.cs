namespace Quadwalk.Emulation;

/// <summary>
/// What the run loop tells a tracer. A struct, so that with <see cref="NoTrace"/> the calls and the tests for them are compiled away.
/// </summary>
internal interface ITracePolicy
{
    /// <summary>Whether instructions run one by one with the hooks called.</summary>
    static abstract bool Enabled { get; }

    /// <summary>The instruction at RIP is about to run.</summary>
    void Before(Vcpu vcpu);

    /// <summary>It ran, or left for the reason given; its accesses are in <see cref="Vcpu.Record"/>.</summary>
    void After(Vcpu vcpu, BlockExit exit);

    /// <summary>It was emulated after an MMIO exit.</summary>
    void AfterEmulation(Vcpu vcpu, BlockExit exit);

    /// <summary>An exception is about to be delivered.</summary>
    void Fault(Vcpu vcpu, in GuestFault fault);
}

/// <summary>No tracing.</summary>
internal readonly struct NoTrace : ITracePolicy
{
    /// <inheritdoc/>
    public static bool Enabled => false;

    /// <inheritdoc/>
    public void Before(Vcpu vcpu)
    {
    }

    /// <inheritdoc/>
    public void After(Vcpu vcpu, BlockExit exit)
    {
    }

    /// <inheritdoc/>
    public void AfterEmulation(Vcpu vcpu, BlockExit exit)
    {
    }

    /// <inheritdoc/>
    public void Fault(Vcpu vcpu, in GuestFault fault)
    {
    }
}
