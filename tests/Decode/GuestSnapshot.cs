using System.Globalization;

namespace Quadwalk.Tests;

/// <summary>General registers, RIP and RFLAGS as text, so that a difference can be read.</summary>
internal static class GuestSnapshot
{
    public static string Of(PagedGuest guest)
    {
        List<string> lines = [string.Create(CultureInfo.InvariantCulture, $"rip {guest.Cpu.State.Rip:x} rflags {guest.Cpu.Rflags:x}")];
        for (int i = 0; i < 16; i++)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"r{i} {guest.Cpu.State.Gpr[i]:x}"));
        }

        return string.Join('\n', lines);
    }
}
