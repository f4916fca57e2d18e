namespace Quadwalk.Emulation;

/// <summary>A device to which the passing of time matters. Time is that of a <see cref="MachineClock"/>.</summary>
public interface ITimedDevice
{
    /// <summary>The tick at which the device next has something to do by itself; null when nothing is due, ever.</summary>
    ulong? NextDeadline { get; }

    /// <summary>
    /// Brings the device to <paramref name="now"/>, the clock's time, which is never less than it was before. Periods that passed together are served
    /// together, so that the work is bounded whatever the guest has programmed.
    /// </summary>
    void Advance(ulong now);
}
