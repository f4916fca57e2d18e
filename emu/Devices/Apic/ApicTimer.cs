namespace Quadwalk.Emulation;

/// <summary>
/// The timer of a local APIC (SDM Vol. 3A, 12.5.4). Its input, the bus clock, runs at the clock's rate of 1 GHz, before the
/// divide configuration register.
/// </summary>
internal sealed class ApicTimer
{
    private const int Periodic = 1, TscDeadlineMode = 2;

    private int mode;
    private uint divideConfiguration;
    private ulong countedFrom;
    private uint count;
    private ulong tscDeadline;

    /// <summary>What the guest's time-stamp counter is ahead of the clock, modulo 2^64.</summary>
    public ulong TscOffset { get; set; }

    public uint InitialCount { get; private set; }

    /// <summary>IA32_TSC_DEADLINE; zero when disarmed.</summary>
    public ulong TscDeadline => tscDeadline;

    public uint DivideConfiguration => divideConfiguration;

    private ulong Divider => 1UL << (int)((((divideConfiguration >> 1) & 4) + (divideConfiguration & 3) + 1) & 7);

    public ulong? Deadline(ulong now)
    {
        if (mode == TscDeadlineMode && tscDeadline != 0)
        {
            ulong counter = now + TscOffset;
            ulong wait = tscDeadline > counter ? tscDeadline - counter : 0;
            return wait > MachineClock.Horizon ? null : now + wait;
        }

        return count == 0 ? null : countedFrom + count * Divider;
    }

    /// <summary>Brings the timer to <paramref name="now"/>; true when it expired, once or more, on the way.</summary>
    public bool Advance(ulong now)
    {
        if (Deadline(now) is not { } deadline || deadline > now)
        {
            return false;
        }

        if (mode != Periodic)
        {
            count = 0;
            tscDeadline = 0;
        }
        else
        {
            count = InitialCount;
            ulong period = Math.Max(1, count * Divider);
            countedFrom = deadline + (now - deadline) / period * period;
        }

        return true;
    }

    /// <summary>The current count; the timer has been brought to <paramref name="now"/>.</summary>
    public uint CurrentCount(ulong now) => count == 0 ? 0 : count - (uint)((now - countedFrom) / Divider);

    public void Start(uint initialCount, ulong now)
    {
        if (mode < TscDeadlineMode)
        {
            InitialCount = initialCount;
            count = initialCount;
            countedFrom = now;
        }
    }

    public void SetDivide(uint configuration, ulong now)
    {
        count = CurrentCount(now);
        countedFrom = now;
        divideConfiguration = configuration;
    }

    /// <summary>A change between one-shot and periodic lets the count run on; one to or from TSC-deadline mode disarms the timer.</summary>
    public void SetMode(int newMode)
    {
        if (newMode != mode && (newMode | mode) >= TscDeadlineMode)
        {
            InitialCount = 0;
            count = 0;
            tscDeadline = 0;
        }

        mode = newMode;
    }

    /// <summary>WRMSR to IA32_TSC_DEADLINE, which only TSC-deadline mode heeds; zero disarms.</summary>
    public void SetTscDeadline(ulong value)
    {
        if (mode == TscDeadlineMode)
        {
            tscDeadline = value;
        }
    }

    public void Reset()
    {
        mode = 0;
        divideConfiguration = 0;
        InitialCount = 0;
        count = 0;
        tscDeadline = 0;
    }
}
