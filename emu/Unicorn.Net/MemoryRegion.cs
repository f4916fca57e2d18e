using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>A region of mapped memory.</summary>
/// <param name="Begin">Its first address.</param>
/// <param name="End">Its last address.</param>
/// <param name="Permissions">What may be done with it.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct MemoryRegion(ulong Begin, ulong End, MemoryPermissions Permissions);
