using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>A model-specific register, for <see cref="X86Register.Msr"/>.</summary>
/// <param name="Index">Its number, as in ECX for RDMSR.</param>
/// <param name="Value">Its value.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct X86Msr(uint Index, ulong Value);
