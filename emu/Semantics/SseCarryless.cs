using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Emulation;

/// <summary>PCLMULQDQ: bits 0 and 4 of the control pick a half of each operand.</summary>
internal readonly struct CarrylessMultiply : IShuffle
{
    /// <inheritdoc/>
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, int control)
    {
        ulong x = a.AsUInt64()[control & 1], y = b.AsUInt64()[control >> 4 & 1];
        return Pclmulqdq.IsSupported
            ? Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(x), Vector128.CreateScalar(y), 0).AsByte()
            : Portable(x, y);
    }

    /// <summary>The product of two polynomials over GF(2), for hosts without the instruction.</summary>
    public static Vector128<byte> Portable(ulong x, ulong y)
    {
        UInt128 product = 0;
        for (int bit = 0; bit < 64; bit++)
        {
            product ^= (UInt128)(x & (ulong)-(long)(y >> bit & 1)) << bit;
        }

        return Vector128.Create((ulong)product, (ulong)(product >> 64)).AsByte();
    }
}
