namespace Quadwalk.Emulation;

/// <content>The fused multiply-add.</content>
internal static unsafe partial class SoftFloat<T>
{
    // Bit 126 of a working significand counts 2^exponent; bit 127 is room for a carry.
    private const int WorkingTop = 126;

    /// <summary>
    /// a * b + c, rounded once; <paramref name="negateProduct"/> and <paramref name="negateAddend"/> turn the sign of either. NaNs
    /// come first as they are, a before b before c (SDM Vol. 1, 14.5.2); infinity times zero is invalid only where c is no NaN.
    /// </summary>
    public static ulong MultiplyAdd(ulong a, ulong b, ulong c, bool negateProduct, bool negateAddend, ref FloatStatus status)
    {
        if (IsNaN(a) || IsNaN(b) || IsNaN(c))
        {
            status.Flags |= IsSignaling(a) || IsSignaling(b) || IsSignaling(c) ? Mxcsr.IE : 0;
            return (IsNaN(a) ? a : IsNaN(b) ? b : c) | QuietBit;
        }

        a = Flush(a, status);
        b = Flush(b, status);
        c = Flush(c, status) ^ (negateAddend ? SignBit : 0);
        ulong sign = (a ^ b ^ (negateProduct ? SignBit : 0)) & SignBit;
        bool infiniteProduct = IsInfinite(a) || IsInfinite(b);
        bool zeroProduct = IsZero(a) || IsZero(b);
        if ((infiniteProduct && zeroProduct) || (infiniteProduct && IsInfinite(c) && sign != (c & SignBit)))
        {
            return Invalid(ref status);
        }

        status.Flags |= IsDenormal(a) || IsDenormal(b) || IsDenormal(c) ? Mxcsr.DE : 0;
        if (infiniteProduct || IsInfinite(c))
        {
            return IsInfinite(c) ? c : sign | Infinity;
        }

        if (zeroProduct)
        {
            return !IsZero(c) ? Repack(c, ref status) : sign == (c & SignBit) ? c : CancelledZero(status);
        }

        (int exponentA, ulong significandA) = Unpack(a);
        (int exponentB, ulong significandB) = Unpack(b);
        UInt128 product = (UInt128)significandA * significandB;
        if (IsZero(c))
        {
            return PackWide(sign, exponentA + exponentB + 1, product, ref status);
        }

        return AddProduct(sign, exponentA + exponentB, product, c, ref status);
    }

    /// <param name="sign">The product's sign.</param>
    /// <param name="exponent">What bit 126 of the product counts, as a power of two; bit 127 may be set too.</param>
    /// <param name="product">Of two significands whose low bits are zeros: at least its low 21 bits are.</param>
    /// <param name="c">A finite number that is not zero.</param>
    /// <param name="status">Receives the flags.</param>
    private static ulong AddProduct(ulong sign, int exponent, UInt128 product, ulong c, ref FloatStatus status)
    {
        if (product >> 127 != 0)
        {
            product >>= 1;
            exponent++;
        }

        (int exponentC, ulong significandC) = Unpack(c);
        UInt128 addend = (UInt128)significandC << (WorkingTop - 63);
        if (exponent >= exponentC)
        {
            addend = ShiftRightJam(addend, exponent - exponentC);
        }
        else
        {
            product = ShiftRightJam(product, exponentC - exponent);
            exponent = exponentC;
        }

        if (sign == (c & SignBit))
        {
            return PackWide(sign, exponent + 1, product + addend, ref status);
        }

        if (product == addend)
        {
            return CancelledZero(status);
        }

        return product > addend
            ? PackWide(sign, exponent + 1, product - addend, ref status)
            : PackWide(sign ^ SignBit, exponent + 1, addend - product, ref status);
    }

    private static UInt128 ShiftRightJam(UInt128 value, int count) =>
        count == 0 ? value
        : count >= 128 ? (value != 0 ? UInt128.One : 0)
        : (value >> count) | ((value << (128 - count)) != 0 ? UInt128.One : 0);
}
