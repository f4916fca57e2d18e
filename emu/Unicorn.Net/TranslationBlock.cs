using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>A block of guest code as the engine has translated it.</summary>
/// <param name="Address">The address of its first instruction.</param>
/// <param name="InstructionCount">How many instructions it has.</param>
/// <param name="Size">Its size in bytes.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct TranslationBlock(ulong Address, ushort InstructionCount, ushort Size);
