using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The structure that RDI points to at the entry of an image: eight little-endian 64-bit words.</summary>
public static class BootInformation
{
    /// <summary>Its first word: <c>QUADWALK</c> in ASCII.</summary>
    public const ulong Magic = 0x4b4c_4157_4441_5551;

    /// <summary>Its size in bytes, and its second word.</summary>
    public const int Size = 64;

    internal static byte[] Build(ulong ramBytes, Gpa firstFree, Gpa freeEnd)
    {
        ReadOnlySpan<ulong> words =
        [
            Magic, Size, ramBytes, BootAddresses.DirectMap.Value, firstFree.Value, freeEnd.Value, PhysicalLayout.Uart.Value, PhysicalLayout.Scratch.Value,
        ];
        byte[] bytes = new byte[Size];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), words[i]);
        }

        return bytes;
    }
}
