using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>
/// What a VEX-encoded instruction computes from its last operand, a register or memory. Its first source is what
/// <see cref="VexRegister.First"/> reads.
/// </summary>
/// <typeparam name="TFrom">The last operand: a vector, or the number of bytes that is read of one.</typeparam>
/// <typeparam name="TTo">The result: a vector of 128 or 256 bits.</typeparam>
internal interface IVexOperation<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
{
    /// <inheritdoc cref="IInstruction.IsApart"/>
    static virtual bool IsApart => false;

    /// <summary>The result; <see langword="false"/> when computing it raised a fault, with nothing changed but MXCSR.</summary>
    static abstract bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, TFrom b, out TTo result);
}

/// <summary>
/// Every VEX-encoded instruction that writes one vector register: read the last operand, compute, write the destination, clear what
/// lies above. One body for all operations, widths and places of the operand.
/// </summary>
/// <remarks>
/// In a bound operation <see cref="Op.Dst"/> is the destination, <see cref="Op.Third"/> the first source (VEX.vvvv) and
/// <see cref="Op.Src"/> the last (ModRM.rm); see <see cref="VexForm{TPort}"/>. The operations are made of the same lane operations as
/// the legacy forms.
/// <para>
/// How AVX-512 fits. A 512-bit form is a row with <see cref="Vector512{T}"/> for <typeparamref name="TTo"/>: operations that work by
/// 128-bit lanes take another overload as they have for 256 bits, and <see cref="VexRegister.Write"/> has nothing left to clear. A mask is
/// an operation round an operation: <c>Masked&lt;TOperation, TElement, TZeroing&gt;</c> calls <c>TryApply</c>, then selects between the result
/// and zero or the old destination by the k register's bits, widened by a compare against (1 &lt;&lt; lane); floating-point operations get
/// the mask as the set of lanes whose flags count, since a masked-off lane raises nothing. The k registers become eight words of
/// <see cref="CpuState"/>, and the number of the mask goes into bits 8 to 10 of <see cref="Op.Immediate"/>, above the imm8. EVEX.b with memory is
/// another source beside <see cref="SseUnaligned{TAddress}"/>, which reads one element and repeats it; EVEX.b with registers is a rounding mode,
/// bound as an operation that builds its <see cref="FloatStatus"/> from it. A masked memory source reads like
/// <see cref="VexMaskedLoad{T, TVector, TAddress}"/>: no element whose bit is clear is touched. Displacements come from Iced already scaled (disp8*N).
/// </para>
/// </remarks>
internal readonly struct Vex<TOperation, TFrom, TTo, TSource> : IInstruction
    where TOperation : struct, IVexOperation<TFrom, TTo>
    where TFrom : unmanaged
    where TTo : unmanaged
    where TSource : struct, ISseSource
{
    /// <inheritdoc/>
    public static bool IsApart => TOperation.IsApart;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.TryGet<TPort, TFrom>(ref cpu, ref op, vcpu, out TFrom b) || !TOperation.TryApply(ref cpu, ref op, vcpu, b, out TTo result))
        {
            return false;
        }

        VexRegister.Write(ref cpu, op.Dst, result);
        return true;
    }
}

/// <summary>Vector registers as VEX-encoded instructions read and write them.</summary>
internal static unsafe class VexRegister
{
    private const int HalfBytes = 32;

    /// <summary>The first source.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T First<T>(ref CpuState cpu, ref Op op)
        where T : unmanaged => CpuState.At<T>(ref cpu, op.Third);

    /// <summary>Writes 128 or 256 bits of a register, given by its offset, and clears the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(ref CpuState cpu, int offset, T value)
        where T : unmanaged
    {
        ref Vector256<byte> low = ref CpuState.At<Vector256<byte>>(ref cpu, offset);
        low = sizeof(T) == HalfBytes ? Unsafe.BitCast<T, Vector256<byte>>(value) : Unsafe.BitCast<T, Vector128<byte>>(value).ToVector256();
        CpuState.At<Vector256<byte>>(ref cpu, offset + HalfBytes) = Vector256<byte>.Zero;
    }
}
