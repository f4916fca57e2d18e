using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>What a page translates to.</summary>
/// <param name="PhysicalAddress">The address of the page that the engine's memory holds.</param>
/// <param name="Permissions">What may be done with the page through this translation.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct TlbEntry(ulong PhysicalAddress, MemoryPermissions Permissions);
