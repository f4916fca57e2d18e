using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>What an emulated x87 instruction left otherwise than the host's processor did.</summary>
internal static class X87Difference
{
    private const ushort C1 = 0x200;
    private const ushort Inexact = 0x30;

    /// <summary>
    /// Null when there is none. Left out is where AMD's processors do otherwise than the SDM says: FCOMI leaves C1, which the SDM clears,
    /// and F2XM1 of -1 and FYL2X of a power of two report a result as inexact or tiny that is exact.
    /// </summary>
    public static string? Of(Mnemonic mnemonic, in HostState start, ref HostState ours, in HostState theirs)
    {
        if (IsApproximate(mnemonic))
        {
            AllowOneUnit(ref ours, theirs);
        }

        ushort ignored = mnemonic switch
        {
            Mnemonic.Fcomi or Mnemonic.Fcomip or Mnemonic.Fucomi or Mnemonic.Fucomip => C1,
            Mnemonic.F2xm1 or Mnemonic.Fyl2x when IsPowerOfTwo(start.X87.St[0]) => Inexact,
            _ => 0,
        };
        ours.X87.Status = (ushort)((ours.X87.Status & ~ignored) | (theirs.X87.Status & ignored));

        string? difference = StateDifference.Of(start, ours, theirs, approximate: false);
        if (difference is null)
        {
            return null;
        }

        difference += $"\n  before: control {start.X87.Control:x4} status {start.X87.Status:x4} tags {start.X87.Tags:x2} top {start.X87.Status >> 11 & 7}";
        for (int i = 0; i < 8; i++)
        {
            difference += $"\n  before: st{i} {start.X87.St[i]:x}";
        }

        return difference;
    }

    private static bool IsApproximate(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Fsin or Mnemonic.Fcos or Mnemonic.Fsincos or Mnemonic.Fptan or Mnemonic.Fpatan or Mnemonic.F2xm1 or Mnemonic.Fyl2x or Mnemonic.Fyl2xp1;

    /// <summary>Takes over results of the host that are one unit in the last place away, and with them the direction of rounding.</summary>
    private static void AllowOneUnit(ref HostState ours, in HostState theirs)
    {
        for (int i = 0; i < 8; i++)
        {
            UInt128 mine = ours.X87.St[i], other = theirs.X87.St[i];
            if (mine != other && Int128.Abs(Ordinal(mine) - Ordinal(other)) == 1)
            {
                ours.X87.St[i] = other;
            }
        }

        ours.X87.Status = (ushort)((ours.X87.Status & ~C1) | (theirs.X87.Status & C1));
    }

    /// <summary>Of a denormal, the significand may stand at any place.</summary>
    private static bool IsPowerOfTwo(UInt128 value) => UInt128.PopCount(value & ulong.MaxValue) == 1;

    /// <summary>A number of which successive values have successive ordinals; the integer bit follows from the exponent.</summary>
    private static Int128 Ordinal(UInt128 value)
    {
        Int128 magnitude = (Int128)((((value >> 64) & 0x7FFF) << 63) | (value & long.MaxValue));
        return (value >> 79 & 1) != 0 ? -magnitude : magnitude;
    }
}
