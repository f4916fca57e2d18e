namespace Quadwalk.Emulation;

/// <summary>
/// The machine's time, in ticks of which the time-stamp counter counts one each: nominally nanoseconds, so that a device's
/// second is 1,000,000,000 retired instructions. It moves only when the run loop moves it, never with the host's time.
/// </summary>
public sealed class MachineClock
{
    /// <summary>The nominal frequency of the time-stamp counter in Hz.</summary>
    public const ulong TicksPerSecond = 1_000_000_000;

    /// <summary>Deadlines from here on, 146 years after the start, never come.</summary>
    public const ulong Horizon = 1UL << 62;

    private readonly List<ITimedDevice> devices = [];

    /// <summary>The current tick.</summary>
    public ulong Now { get; private set; }

    /// <summary>The earliest deadline of all devices; null when nothing is due before the <see cref="Horizon"/>.</summary>
    public ulong? NextDeadline
    {
        get
        {
            ulong next = Horizon;
            foreach (ITimedDevice device in devices)
            {
                next = Math.Min(next, device.NextDeadline ?? Horizon);
            }

            return next == Horizon ? null : next;
        }
    }

    /// <summary>Lets <paramref name="device"/> know of time; the device attached first is told first.</summary>
    public void Attach(ITimedDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        devices.Add(device);
    }

    /// <summary>Moves the clock on and lets the devices do what has become due.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="now"/> is less than <see cref="Now"/>.</exception>
    public void AdvanceTo(ulong now)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(now, Now);
        Now = now;
        foreach (ITimedDevice device in devices)
        {
            device.Advance(now);
        }
    }

    /// <summary>How many cycles of <paramref name="frequency"/> Hz are complete after <paramref name="ticks"/>.</summary>
    public static ulong ToCycles(ulong ticks, uint frequency) =>
        ticks / TicksPerSecond * frequency + ticks % TicksPerSecond * frequency / TicksPerSecond;

    /// <summary>The first tick at which <paramref name="cycles"/> cycles of <paramref name="frequency"/> Hz are complete.</summary>
    public static ulong FromCycles(ulong cycles, uint frequency) =>
        cycles / frequency * TicksPerSecond + (cycles % frequency * TicksPerSecond + frequency - 1) / frequency;
}
