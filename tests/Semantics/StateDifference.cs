using System.Text;

namespace Quadwalk.Tests;

/// <summary>What an emulated instruction left otherwise than the host's processor did.</summary>
internal static class StateDifference
{
    private const double Bound = 1.5 / 4096;

    /// <summary>Null when there is none.</summary>
    /// <param name="start">The state before.</param>
    /// <param name="ours">The emulated result.</param>
    /// <param name="theirs">The host's result.</param>
    /// <param name="approximate">Whether singles may differ by twice the error that the SDM allows RCPPS and RSQRTPS.</param>
    public static string? Of(in HostState start, in HostState ours, in HostState theirs, bool approximate)
    {
        StringBuilder text = new();
        for (int i = 0; i < 16; i++)
        {
            Compare(text, $"gpr{i}", start.Gpr[i], ours.Gpr[i], theirs.Gpr[i]);
            if (!approximate || !AreNear(ours.Xmm[i], theirs.Xmm[i]))
            {
                Compare(text, $"xmm{i}", start.Xmm[i], ours.Xmm[i], theirs.Xmm[i]);
            }
        }

        for (int i = 0; i < 16; i++)
        {
            if (!approximate || !AreNear(ours.YmmHigh[i], theirs.YmmHigh[i]))
            {
                Compare(text, $"ymm{i} high", start.YmmHigh[i], ours.YmmHigh[i], theirs.YmmHigh[i]);
            }
        }

        for (int i = 0; i < 8; i++)
        {
            Compare(text, $"st{i}", start.X87.St[i], ours.X87.St[i], theirs.X87.St[i]);
        }

        Compare(text, "fcw", start.X87.Control, ours.X87.Control, theirs.X87.Control);
        Compare(text, "fsw", start.X87.Status, ours.X87.Status, theirs.X87.Status);
        Compare(text, "ftw", start.X87.Tags, ours.X87.Tags, theirs.X87.Tags);
        Compare(text, "rflags", start.Rflags, ours.Rflags, theirs.Rflags);
        Compare(text, "mxcsr", start.Mxcsr, ours.Mxcsr, theirs.Mxcsr);
        if (text.Length == 0)
        {
            return null;
        }

        for (int i = 0; i < 16; i++)
        {
            text.Append($"\n  before: ymm{i} {start.YmmHigh[i]:x32}{start.Xmm[i]:x32} gpr{i} {start.Gpr[i]:x16}");
        }

        return text.ToString();
    }

    private static void Compare(StringBuilder text, string name, UInt128 start, UInt128 ours, UInt128 theirs)
    {
        if (ours != theirs)
        {
            text.Append($"\n  {name}: {start:x} -> {ours:x}, host {theirs:x}");
        }
    }

    private static bool AreNear(UInt128 ours, UInt128 theirs)
    {
        for (int i = 0; i < 4; i++)
        {
            uint left = (uint)(ours >> (32 * i)), right = (uint)(theirs >> (32 * i));
            float x = BitConverter.UInt32BitsToSingle(left), y = BitConverter.UInt32BitsToSingle(right);
            bool near = float.IsFinite(x) && float.IsFinite(y) && Math.Abs((double)x - y) <= 2 * Bound * Math.Max(Math.Abs(x), Math.Abs(y));
            if (left != right && !near)
            {
                return false;
            }
        }

        return true;
    }
}
