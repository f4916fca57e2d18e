using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>The value of GDTR, IDTR, LDTR or TR.</summary>
/// <param name="Selector">The selector; GDTR and IDTR have none.</param>
/// <param name="Base">The base address.</param>
/// <param name="Limit">The offset of the last byte.</param>
/// <param name="Flags">The attributes as QEMU keeps them, bits 55:40 of the descriptor in bits 23:8; GDTR and IDTR have none.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct X86TableRegister(ushort Selector, ulong Base, uint Limit, uint Flags);
