using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>How operations may end (P12).</summary>
internal static class Outcomes
{
    public static bool Allows(VmFault fault) =>
        fault is VmFault.NoPage or VmFault.SigBus or VmFault.SigSegv or VmFault.HwPoison or VmFault.OutOfMemory;

    public static bool Allows(StageTwoOutcome outcome) =>
        outcome is StageTwoOutcome.Fixed or StageTwoOutcome.Retry or StageTwoOutcome.Emulate or StageTwoOutcome.Fault or StageTwoOutcome.MemoryFault or StageTwoOutcome.HwPoison;

    public static bool AllowsGup(GupResult result, FollFlags flags) =>
        result.Error is Errno.None or Errno.EFAULT or Errno.ENOMEM
        || (result.Error == Errno.EINVAL && (flags & FollFlags.FastOnly) != 0 && (flags & FollFlags.NoWait) != 0)
        || (result.Error == Errno.EAGAIN && (flags & FollFlags.NoWait) != 0);
}
