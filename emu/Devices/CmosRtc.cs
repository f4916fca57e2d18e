namespace Quadwalk.Emulation;

/// <summary>
/// An MC146818 real-time clock with 128 bytes of CMOS memory at ports 0x70 and 0x71: time of day, alarm, update-ended and periodic
/// interrupts, and the memory sizes that PC firmware leaves there.
/// </summary>
/// <remarks>
/// It deviates in that the divider bits of register A are kept but change nothing, the day of the week follows from the date, and
/// daylight saving is not done.
/// </remarks>
public sealed class CmosRtc : IPortDevice, ITimedDevice
{
    /// <summary>The usual first port.</summary>
    public const ushort Port = 0x70;

    private const int StatusA = 0x0a, StatusB = 0x0b, StatusC = 0x0c, StatusD = 0x0d, Century = 0x32;
    private const byte UpdateInProgress = 0x80, Set = 0x80, Valid = 0x80, InterruptPending = 0x80;
    private const byte Periodic = 0x40, Alarm = 0x20, UpdateEnded = 0x10, Sources = Periodic | Alarm | UpdateEnded;
    private const byte AnyTime = 0xc0;
    private const uint Oscillator = 32_768;

    // tBUC of the data sheet: UIP is set 244 us before the update.
    private const ulong UpdateTicks = 244_000;
    private const ulong SecondsPerDay = 86_400;

    private readonly MachineClock clock;
    private readonly InterruptLine interrupt;
    private readonly byte[] memory = new byte[128];
    private long origin;
    private ulong seen;
    private byte index;

    /// <summary>Makes a clock that shows <paramref name="start"/> at tick 0. The caller attaches it to <paramref name="clock"/>.</summary>
    /// <param name="clock">The time.</param>
    /// <param name="interrupt">IRQ 8.</param>
    /// <param name="start">The date, in the years 1 to 9000.</param>
    /// <param name="lowRamBytes">RAM below 4 GiB.</param>
    /// <param name="highRamBytes">RAM from 4 GiB on.</param>
    /// <param name="processors">How many processors there are, at most 256.</param>
    public CmosRtc(MachineClock clock, InterruptLine interrupt, DateTime start, ulong lowRamBytes = 0, ulong highRamBytes = 0, int processors = 1)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start.Year, 9000);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lowRamBytes, 1UL << 32);
        this.clock = clock;
        this.interrupt = interrupt;
        origin = start.Ticks / TimeSpan.TicksPerSecond;
        memory[StatusA] = 0x26;
        memory[StatusB] = RtcTime.Hours24;
        memory[StatusD] = Valid;
        DescribeMemory(lowRamBytes, highRamBytes);
        memory[0x5f] = (byte)(processors - 1);
    }

    /// <summary>A date that tells nothing: the start of the epoch of 2000, so that runs repeat.</summary>
    public static DateTime DefaultStart => new(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    /// <inheritdoc/>
    public int PortCount => 2;

    /// <inheritdoc/>
    public ulong? NextDeadline
    {
        get
        {
            if ((memory[StatusC] & InterruptPending) != 0)
            {
                return null;
            }

            ulong? next = (memory[StatusB] & Set) == 0 && (memory[StatusB] & (Alarm | UpdateEnded)) != 0
                ? (Second(clock.Now) + 1) * MachineClock.TicksPerSecond
                : null;
            if ((memory[StatusB] & Periodic) != 0 && PeriodicFrequency is var frequency and not 0)
            {
                ulong tick = MachineClock.FromCycles(MachineClock.ToCycles(clock.Now, frequency) + 1, frequency);
                next = next < tick ? next : tick;
            }

            return next;
        }
    }

    private uint PeriodicFrequency => (memory[StatusA] & 15) switch
    {
        0 => 0,
        int rate => Oscillator >> ((rate <= 2 ? rate + 7 : rate) - 1),
    };

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        ulong before = seen;
        seen = now;
        byte flags = 0;
        uint frequency = PeriodicFrequency;
        if (frequency != 0 && MachineClock.ToCycles(now, frequency) != MachineClock.ToCycles(before, frequency))
        {
            flags |= Periodic;
        }

        ulong seconds = Second(now) - Second(before);
        if (seconds != 0 && (memory[StatusB] & Set) == 0)
        {
            flags |= UpdateEnded;
            flags |= IsAlarmWithin(Second(before) + 1, seconds) ? Alarm : (byte)0;
        }

        memory[StatusC] |= flags;
        UpdateInterrupt();
    }

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width)
    {
        if (offset == 0)
        {
            return 0xff;
        }

        Advance(clock.Now);
        switch (index)
        {
            case StatusA:
                bool updating = (memory[StatusB] & Set) == 0 && clock.Now % MachineClock.TicksPerSecond >= MachineClock.TicksPerSecond - UpdateTicks;
                return (uint)(memory[StatusA] | (updating ? UpdateInProgress : 0));
            case StatusC:
                byte flags = memory[StatusC];
                memory[StatusC] = 0;
                interrupt.Set(false);
                return flags;
            default:
                bool held = (memory[StatusB] & Set) != 0;
                return IsTime(index) && !held ? Current(index) : memory[index];
        }
    }

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        if (offset == 0)
        {
            index = (byte)(value & 0x7f);
            return;
        }

        Advance(clock.Now);
        byte data = (byte)value;
        switch (index)
        {
            case StatusA:
                memory[StatusA] = (byte)(data & ~UpdateInProgress);
                break;
            case StatusB:
                WriteStatusB(data);
                break;
            case StatusC or StatusD:
                break;
            default:
                WriteMemory(data);
                break;
        }
    }

    private static bool IsTime(int register) => register
        is RtcTime.Seconds or RtcTime.Minutes or RtcTime.Hours or (>= RtcTime.WeekDay and <= RtcTime.Year) or Century;

    private static ulong Second(ulong tick) => tick / MachineClock.TicksPerSecond;

    private byte Current(int register)
    {
        DateTime time = TimeAt(Second(clock.Now));
        return register == Century ? RtcTime.Encode(time.Year / 100, memory[StatusB]) : RtcTime.Read(time, register, memory[StatusB]);
    }

    private void WriteMemory(byte data)
    {
        bool running = (memory[StatusB] & Set) == 0 && IsTime(index);
        if (running)
        {
            Hold();
        }

        memory[index] = data;
        if (running)
        {
            Release();
        }
    }

    private void WriteStatusB(byte data)
    {
        bool was = (memory[StatusB] & Set) != 0;
        bool sets = (data & Set) != 0;
        if (sets && !was)
        {
            Hold();
        }

        memory[StatusB] = sets ? (byte)(data & ~UpdateEnded) : data;
        if (was && !sets)
        {
            Release();
        }

        UpdateInterrupt();
    }

    /// <summary>The registers keep the time of now, for the guest to change.</summary>
    private void Hold()
    {
        for (int register = 0; register <= Century; register++)
        {
            memory[register] = IsTime(register) ? Current(register) : memory[register];
        }
    }

    /// <summary>Time goes on from what the registers hold.</summary>
    private void Release() =>
        origin = RtcTime.Parse(memory, memory[Century], memory[StatusB]).Ticks / TimeSpan.TicksPerSecond - (long)Second(clock.Now);

    private DateTime TimeAt(ulong second) => new((origin + (long)second) * TimeSpan.TicksPerSecond, DateTimeKind.Utc);

    /// <summary>Whether the time of day of the alarm comes within some seconds from a second on.</summary>
    private bool IsAlarmWithin(ulong second, ulong count)
    {
        ulong seconds = AlarmValues(RtcTime.Seconds, 60, TimeSpan.TicksPerSecond);
        ulong minutes = AlarmValues(RtcTime.Minutes, 60, TimeSpan.TicksPerMinute);
        ulong hours = AlarmValues(RtcTime.Hours, 24, TimeSpan.TicksPerHour);
        if (seconds == 0 || minutes == 0 || hours == 0 || count >= SecondsPerDay)
        {
            return seconds != 0 && minutes != 0 && hours != 0;
        }

        ulong first = (ulong)(TimeAt(second).TimeOfDay.Ticks / TimeSpan.TicksPerSecond);
        ulong time = first;
        while (time - first < count)
        {
            if ((hours >> (int)(time / 3600 % 24) & 1) == 0)
            {
                time = (time / 3600 + 1) * 3600;
            }
            else if ((minutes >> (int)(time / 60 % 60) & 1) == 0)
            {
                time = (time / 60 + 1) * 60;
            }
            else if ((seconds >> (int)(time % 60) & 1) == 0)
            {
                time++;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The values of a time register that its alarm register, which follows it, means, as a bit each: with the two upper bits set
    /// it means any.
    /// </summary>
    private ulong AlarmValues(int register, int count, long unit)
    {
        byte alarm = memory[register + 1];
        ulong values = 0;
        for (int value = 0; value < count; value++)
        {
            bool matches = (alarm & AnyTime) == AnyTime || alarm == RtcTime.Read(new DateTime(value * unit), register, memory[StatusB]);
            values |= matches ? 1UL << value : 0;
        }

        return values;
    }

    private void UpdateInterrupt()
    {
        bool pending = (memory[StatusC] & memory[StatusB] & Sources) != 0;
        memory[StatusC] = (byte)((memory[StatusC] & ~InterruptPending) | (pending ? InterruptPending : 0));
        interrupt.Set(pending);
    }

    private void DescribeMemory(ulong low, ulong high)
    {
        const ulong KiB = 1024, MiB = KiB * KiB, most = 0xffff;
        Put16(0x15, 640);
        ulong extended = Math.Min(Math.Max(low, MiB) - MiB, 63 * MiB) / KiB;
        Put16(0x17, extended);
        Put16(0x30, extended);
        Put16(0x34, Math.Min((Math.Max(low, 16 * MiB) - 16 * MiB) / (64 * KiB), most));
        ulong above = high / (64 * KiB);
        Put16(0x5b, above);
        memory[0x5d] = (byte)(above >> 16);
    }

    private void Put16(int at, ulong value)
    {
        memory[at] = (byte)value;
        memory[at + 1] = (byte)(value >> 8);
    }
}
