namespace Quadwalk.Emulation;

/// <summary>One access to a <see cref="ScratchRam"/>.</summary>
/// <param name="Sequence">Its number, from zero.</param>
/// <param name="Offset">The offset of the first byte in the device.</param>
/// <param name="Bytes">The bytes read or written; their number is the width.</param>
/// <param name="IsWrite">Whether the guest wrote.</param>
public readonly record struct ScratchAccess(ulong Sequence, ulong Offset, ReadOnlyMemory<byte> Bytes, bool IsWrite);
