using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>What tests of guest memory share.</summary>
internal static class HostMemoryCases
{
    /// <summary>Skips what needs a memfd on hosts that have none.</summary>
    public static void Require(HostMemoryKind kind)
    {
        if (kind == HostMemoryKind.Memfd && !HostCapabilities.Probe().Memfd)
        {
            Assert.Ignore("this host has no memfd");
        }
    }
}
