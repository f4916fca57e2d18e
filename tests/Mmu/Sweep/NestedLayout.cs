namespace Quadwalk.Tests;

/// <summary>
/// Where things lie in a nested sweep. A way is the translation of one guest-physical address: 4 to 1 of the guest's table of that level,
/// 0 of its page. Each way has its own part of the guest's memory and so its own entry in the root, and its own tables below.
/// </summary>
internal static class NestedLayout
{
    public const int Ways = 5, PhysicalBits = 46;

    // A number in bits 40:36 of a host-physical address tells what lies there.
    private const int RegionShift = 36, RootNumber = 31, TargetNumber = 20;

    public static ulong Root => Region(RootNumber);

    /// <summary>Where a table of the guest lies for it.</summary>
    public static ulong GuestTable(int level) => Part(level) | PagingSweeps.TableOf(level);

    /// <summary>The part of the guest's memory that a way is for.</summary>
    public static ulong Part(int way) => ((ulong)way + 1) << 39;

    /// <summary>The second stage's table of a level for a way.</summary>
    public static ulong TableOf(int way, int level) => level == 4 ? Root : Region((4 * way) + level - 1);

    /// <summary>What a way leads to; a multiple of every page's size.</summary>
    public static ulong Target(int way) => Region(TargetNumber + way);

    /// <summary>The word for the second stage's entry of a way and level.</summary>
    public static int SlotOf(int way, int level) => level == 4 ? 33 + way : (4 * way) + level - 1;

    /// <summary>The word for the guest's entry of a level.</summary>
    public static int GuestSlotOf(int level) => TargetNumber + level;

    /// <summary>The word for an address.</summary>
    public static int SlotAt(ulong address)
    {
        int number = (int)(address >> RegionShift) - 1;
        return number == RootNumber ? 32 + (int)((address >> 3) & 7) : number & 31;
    }

    private static ulong Region(int number) => ((ulong)number + 1) << RegionShift;
}
