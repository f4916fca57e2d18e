namespace Quadwalk.GuestMemory;

/// <summary>The modelled host's time, which passes when somebody says so: a scheduler by a tick for each step.</summary>
public sealed class HostClock
{
    /// <summary>Ticks so far.</summary>
    public ulong Now { get; private set; }

    /// <summary>Lets time pass.</summary>
    public void Tick(ulong ticks = 1) => Now += ticks;
}
