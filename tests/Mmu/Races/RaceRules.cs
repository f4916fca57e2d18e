using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// What the entries of one path allow: the SDM's rules (Vol. 3A, 5.3 to 5.6) once more, for CR0.WP = 1, NXE = 1 and without SMEP, SMAP and keys.
/// </summary>
internal static class RaceRules
{
    /// <summary>Levels that lie in memory.</summary>
    public static int TopLevel(PagingMode mode) => mode switch
    {
        PagingMode.FiveLevel => 5,
        PagingMode.FourLevel => 4,
        _ => 2,
    };

    public static int Shift(PagingMode mode, int level) => 12 + ((mode == PagingMode.Bits32 ? 10 : 9) * (level - 1));

    public static ulong EntryAt(PagingMode mode, ulong table, ulong gva, int level)
    {
        ulong entries = mode == PagingMode.Bits32 ? 1024u : 512;
        return table + ((gva >> Shift(mode, level)) % entries * (4096 / entries));
    }

    /// <summary>Follows a path from the root; entries below where the walk must end are one too many.</summary>
    /// <returns>The failure, or the physical address, and how many entries the walk must have read; or why the path is none.</returns>
    public static (WalkFailure Failure, ulong Address, int Used, string? Wrong) Judge(
        PagingMode mode, ulong root, ulong gva, WalkAccess access, byte bits, ReadOnlySpan<(int Level, ulong Address, ulong Value)> path)
    {
        ulong table = root;
        ulong all = ulong.MaxValue, any = 0;
        int level = TopLevel(mode);
        for (int used = 0; used < path.Length; used++, level--)
        {
            (int pathLevel, ulong address, ulong value) = path[used];
            if (pathLevel != level || address != EntryAt(mode, table, gva, level))
            {
                return (default, 0, used, $"level {pathLevel} read at {address:x}, and {EntryAt(mode, table, gva, level):x} is right");
            }

            if ((value & 1) == 0)
            {
                return (WalkFailure.NotPresent, 0, used + 1, null);
            }

            bool large = (value & 0x80) != 0 && (level == 2 || (level == 3 && mode != PagingMode.Pae));
            if (IsReserved(mode, level, large, value, bits))
            {
                return (WalkFailure.ReservedBits, 0, used + 1, null);
            }

            all &= value;
            any |= value;
            if (level == 1 || large)
            {
                WalkFailure failure = access.IsUser && (all & 4) == 0 ? WalkFailure.UserAccessToSupervisorPage
                    : access.Kind == AccessKind.Write && (all & 2) == 0 ? WalkFailure.WriteToReadOnlyPage
                    : access.Kind == AccessKind.Execute && any >> 63 != 0 ? WalkFailure.ExecuteOfNoExecutePage
                    : WalkFailure.None;
                return (failure, PageAddress(mode, level, value) + (gva % (1UL << Shift(mode, level))), used + 1, null);
            }

            table = value % (1UL << 52) / 4096 * 4096;
        }

        return (WalkFailure.EntryUnreachable, 0, path.Length + 1, null);
    }

    private static ulong PageAddress(PagingMode mode, int level, ulong value)
    {
        ulong size = 1UL << Shift(mode, level);
        return mode == PagingMode.Bits32 && level == 2
            ? ((value >> 22 << 22) % (1UL << 32)) + (((value >> 13) % 256) << 32)
            : value % (1UL << 52) / size * size;
    }

    private static bool IsReserved(PagingMode mode, int level, bool large, ulong value, byte bits)
    {
        if (mode == PagingMode.Bits32)
        {
            return large && (value >> (13 + Math.Min(bits, (byte)40) - 32)) % (1UL << (22 - 13 - Math.Min(bits, (byte)40) + 32)) != 0;
        }

        int last = mode == PagingMode.Pae ? 62 : 51;
        bool high = value << (63 - last) >> (63 - last) >> bits != 0;
        bool low = large && (value >> 13) % (1UL << (Shift(mode, level) - 13)) != 0;
        bool size = level >= 4 && (value & 0x80) != 0;
        return high || low || size;
    }
}
