namespace Quadwalk.Emulation;

/// <summary>The time registers of an MC146818: between dates and bytes in BCD or binary, 12 or 24 hours (data sheet, table 3).</summary>
internal static class RtcTime
{
    public const int Seconds = 0, Minutes = 2, Hours = 4, WeekDay = 6, Day = 7, Month = 8, Year = 9;
    public const byte Binary = 4, Hours24 = 2;

    private const byte Afternoon = 0x80;

    public static byte Read(DateTime time, int register, byte statusB) => register switch
    {
        Seconds => Encode(time.Second, statusB),
        Minutes => Encode(time.Minute, statusB),
        Hours => EncodeHour(time.Hour, statusB),
        WeekDay => Encode((int)time.DayOfWeek + 1, statusB),
        Day => Encode(time.Day, statusB),
        Month => Encode(time.Month, statusB),
        _ => Encode(time.Year % 100, statusB),
    };

    public static byte Encode(int value, byte statusB) => (byte)((statusB & Binary) != 0 ? value : value / 10 << 4 | value % 10);

    /// <summary>
    /// The date of a set of registers, each brought into its range if it lies beyond. The day of the week is not looked at.
    /// </summary>
    public static DateTime Parse(ReadOnlySpan<byte> registers, byte century, byte statusB)
    {
        int year = Math.Clamp(Decode(century, statusB) * 100 + Math.Min(Decode(registers[Year], statusB), 99), 1, 9000);
        int month = Math.Clamp(Decode(registers[Month], statusB), 1, 12);
        int day = Math.Clamp(Decode(registers[Day], statusB), 1, DateTime.DaysInMonth(year, month));
        int minute = Math.Min(Decode(registers[Minutes], statusB), 59);
        int second = Math.Min(Decode(registers[Seconds], statusB), 59);
        return new DateTime(year, month, day, DecodeHour(registers[Hours], statusB), minute, second, DateTimeKind.Utc);
    }

    private static int Decode(byte value, byte statusB) => (statusB & Binary) != 0 ? value : (value >> 4) * 10 + (value & 15);

    private static byte EncodeHour(int hour, byte statusB)
    {
        if ((statusB & Hours24) != 0)
        {
            return Encode(hour, statusB);
        }

        int twelve = hour % 12 == 0 ? 12 : hour % 12;
        return (byte)(Encode(twelve, statusB) | (hour >= 12 ? Afternoon : 0));
    }

    private static int DecodeHour(byte value, byte statusB)
    {
        if ((statusB & Hours24) != 0)
        {
            return Math.Min(Decode(value, statusB), 23);
        }

        int twelve = Decode((byte)(value & ~Afternoon), statusB) % 12;
        return twelve + ((value & Afternoon) != 0 ? 12 : 0);
    }
}
