namespace Quadwalk.Emulation;

/// <summary>One counter of an 8254 (data sheet 231164). Times are cycles of its input clock.</summary>
internal sealed class PitChannel
{
    private const int RateGenerator = 2, SquareWave = 3;

    private int mode;
    private int access = 3;
    private bool isBcd;
    private bool gate;
    private bool loaded;
    private bool triggered;
    private uint reload = 0x10000;
    private uint pending;
    private ulong start;
    private ulong frozen;
    private ulong seen;
    private byte writeLow;
    private bool writeHighNext;
    private bool readHighNext;
    private ushort? latchedCount;
    private byte? latchedStatus;

    public PitChannel(bool gate) => this.gate = gate;

    private bool IsPeriodic => mode is RateGenerator or SquareWave;

    private bool IsTriggeredByGate => mode is 1 or 5;

    private bool IsRunning => loaded && (IsTriggeredByGate ? triggered : gate);

    private uint Modulus => isBcd ? 10_000u : 0x10000u;

    /// <summary>The OUT output at a cycle that the channel has been brought to.</summary>
    public bool Output(ulong cycle)
    {
        if (!loaded || (IsTriggeredByGate && !triggered))
        {
            return mode != 0;
        }

        ulong elapsed = Elapsed(cycle);
        return mode switch
        {
            0 or 1 => elapsed >= reload,
            RateGenerator => !gate || elapsed % reload != reload - 1,
            SquareWave => !gate || elapsed % reload < (reload + 1) / 2,
            _ => elapsed != reload,
        };
    }

    /// <summary>The cycle at which OUT next rises; null when it does not.</summary>
    public ulong? NextRise(ulong cycle)
    {
        if (!IsRunning)
        {
            return null;
        }

        ulong elapsed = Elapsed(cycle);
        return Rises(elapsed) switch
        {
            _ when IsPeriodic => start + (elapsed / reload + 1) * reload,
            0 => start + reload + (mode >= 4 ? 1u : 0),
            _ => null,
        };
    }

    /// <summary>Brings the channel to a cycle; true when OUT rose, once or more, on the way.</summary>
    public bool Advance(ulong cycle)
    {
        bool rose = false;
        if (pending != 0 && IsPeriodic && IsRunning)
        {
            ulong end = start + (Elapsed(seen) / reload + 1) * reload;
            if (cycle >= end)
            {
                rose = true;
                start = end;
                seen = end;
                reload = pending;
                pending = 0;
            }
        }

        rose |= IsRunning && Rises(Elapsed(cycle)) > Rises(Elapsed(seen));
        seen = cycle;
        return rose;
    }

    public void SetGate(bool level, ulong cycle)
    {
        if (level == gate)
        {
            return;
        }

        if (IsTriggeredByGate)
        {
            if (level && loaded)
            {
                triggered = true;
                start = cycle;
                reload = pending != 0 ? pending : reload;
                pending = 0;
            }
        }
        else if (!level)
        {
            frozen = Elapsed(cycle);
        }
        else
        {
            start = IsPeriodic ? cycle : cycle - frozen;
        }

        gate = level;
        seen = cycle;
    }

    /// <summary>A control word that selects this channel's access and mode.</summary>
    public void SetMode(byte word)
    {
        access = (word >> 4) & 3;
        mode = (word >> 1) & 7;
        mode = mode > 5 ? mode & 3 : mode;
        isBcd = (word & 1) != 0;
        loaded = false;
        triggered = false;
        pending = 0;
        writeHighNext = false;
        readHighNext = false;
        latchedCount = null;
        latchedStatus = null;
    }

    public void LatchCount(ulong cycle) => latchedCount ??= CurrentCount(cycle);

    public void LatchStatus(ulong cycle) => latchedStatus ??= (byte)(
        (Output(cycle) ? 0x80 : 0) | (!loaded || pending != 0 ? 0x40 : 0) | access << 4 | mode << 1 | (isBcd ? 1 : 0));

    public byte Read(ulong cycle)
    {
        if (latchedStatus is { } status)
        {
            latchedStatus = null;
            return status;
        }

        ushort count = latchedCount ?? CurrentCount(cycle);
        bool high = access == 2 || (access == 3 && readHighNext);
        readHighNext = access == 3 && !readHighNext;
        if (!readHighNext)
        {
            latchedCount = null;
        }

        return (byte)(high ? count >> 8 : count);
    }

    public void Write(byte value, ulong cycle)
    {
        switch (access)
        {
            case 1:
                Load(value, cycle);
                break;
            case 2:
                Load(value << 8, cycle);
                break;
            case 3 when writeHighNext:
                writeHighNext = false;
                Load(value << 8 | writeLow, cycle);
                break;
            case 3:
                writeHighNext = true;
                writeLow = value;
                loaded &= mode != 0;
                break;
        }
    }

    private void Load(int raw, ulong cycle)
    {
        uint count = isBcd ? FromBcd((uint)raw) : (uint)raw;
        count = count == 0 ? Modulus : count;
        count = IsPeriodic ? Math.Max(2, count) : count;
        if (loaded && (IsPeriodic ? gate : triggered))
        {
            pending = count;
            return;
        }

        reload = count;
        loaded = true;
        if (!IsTriggeredByGate)
        {
            start = cycle;
            frozen = 0;
        }

        seen = cycle;
    }

    private ulong Elapsed(ulong cycle) => IsTriggeredByGate || gate ? cycle - start : frozen;

    private ulong Rises(ulong elapsed) => mode switch
    {
        0 or 1 => elapsed >= reload ? 1u : 0,
        RateGenerator or SquareWave => elapsed / reload,
        _ => elapsed > reload ? 1u : 0,
    };

    private ushort CurrentCount(ulong cycle)
    {
        if (!loaded || (IsTriggeredByGate && !triggered))
        {
            return (ushort)(isBcd ? ToBcd(reload % Modulus) : reload);
        }

        ulong elapsed = Elapsed(cycle);
        ulong position = elapsed % reload;
        uint half = (reload + 1) / 2;
        ulong count = mode switch
        {
            RateGenerator => reload - position,
            SquareWave => (reload & ~1u) - 2 * (position < half ? position : position - half),
            _ => reload + Modulus - elapsed % Modulus,
        };
        uint value = (uint)(count % Modulus);
        return (ushort)(isBcd ? ToBcd(value) : value);
    }

    private static uint FromBcd(uint value) =>
        (value & 15) + 10 * (value >> 4 & 15) + 100 * (value >> 8 & 15) + 1000 * (value >> 12);

    private static uint ToBcd(uint value) =>
        value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}
