using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>One string instruction: what it does to one element, and to a run of them where that can be had cheaply.</summary>
internal interface IStringOperation
{
    /// <summary>Whether REPE and REPNE look at ZF; elsewhere both are REP.</summary>
    static abstract bool Compares { get; }

    /// <summary>Data accesses an element makes.</summary>
    static abstract int Accesses { get; }

    /// <summary>Does one element, without moving the index registers; false with the reason recorded and nothing changed.</summary>
    static abstract bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>;

    /// <summary>Does up to <paramref name="count"/> elements upward at once; answers how many it did, 0 where it has no shortcut.</summary>
    static abstract int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>;

    /// <summary>Whether RSI and RDI move.</summary>
    static abstract bool UsesSource { get; }

    /// <inheritdoc cref="UsesSource"/>
    static abstract bool UsesDestination { get; }
}

/// <summary>The index registers of string instructions.</summary>
internal static class StringIndex
{
    private const ulong PageOffset = 0xFFF;

    /// <summary>The address that RSI, ESI or SI gives.</summary>
    public static ulong Source(ref CpuState cpu, ref Op op) =>
        AnyAddress.At(ref cpu, ref op, AnyAddress.Masked(ref op, cpu.Gpr[GeneralRegister.Rsi]));

    /// <summary>The address that RDI, EDI or DI gives in ES, which takes no override and has no base in 64-bit mode.</summary>
    public static ulong Destination(ref CpuState cpu, ref Op op)
    {
        ulong offset = AnyAddress.Masked(ref op, cpu.Gpr[GeneralRegister.Rdi]);
        return (op.Flags & OpFlags.Segmented) != 0 ? SegmentedAddress.Of(SegmentIndex.Es, (uint)offset) : offset;
    }

    /// <summary>Whether elements may go as runs: upward, without wrapping, and with pages where the offsets' pages are.</summary>
    public static bool MayRun<TPort>(ref CpuState cpu, ref Op op)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.SystemFlags & Rflags.DF) != 0)
        {
            return false;
        }

        if (!TPort.IsSegmented)
        {
            return (op.Flags & OpFlags.Address32) == 0;
        }

        ulong bases = cpu.Segments[op.Segment].Base | cpu.Segments[SegmentIndex.Es].Base;
        return (op.Flags & OpFlags.Address32) != 0 && (bases & PageOffset) == 0;
    }

    /// <summary>Moves the index registers on by a number of elements, in the direction of DF.</summary>
    public static unsafe void Advance<TOperation, T>(ref CpuState cpu, ref Op op, ulong elements)
        where TOperation : struct, IStringOperation
        where T : unmanaged
    {
        ulong distance = elements * (ulong)sizeof(T);
        distance = (cpu.SystemFlags & Rflags.DF) != 0 ? 0 - distance : distance;
        if (TOperation.UsesSource)
        {
            AnyAddress.Store(ref cpu, ref op, GeneralRegister.Rsi, cpu.Gpr[GeneralRegister.Rsi] + distance);
        }

        if (TOperation.UsesDestination)
        {
            AnyAddress.Store(ref cpu, ref op, GeneralRegister.Rdi, cpu.Gpr[GeneralRegister.Rdi] + distance);
        }
    }
}

/// <summary>A string instruction without a repeat prefix.</summary>
internal readonly struct StringOnce<TOperation, T> : IInstruction
    where TOperation : struct, IStringOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TOperation.Element<TPort, T>(ref cpu, ref op, vcpu, StringIndex.Source(ref cpu, ref op), StringIndex.Destination(ref cpu, ref op)))
        {
            return false;
        }

        StringIndex.Advance<TOperation, T>(ref cpu, ref op, 1);
        return true;
    }
}

/// <summary>
/// A string instruction under REP, REPE or REPNE. Registers are exact after each element, so a fault or an exit restarts it where it
/// was; after <see cref="StringLimits.GiveWay"/> elements it lets the run loop look round, which counts as one instruction more.
/// </summary>
internal readonly struct StringRepeated<TOperation, T> : IInstruction
    where TOperation : struct, IStringOperation
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        bool stops = vcpu.Debug.StopsAtElements;
        int left = StringLimits.GiveWay;
        while (true)
        {
            ulong count = AnyAddress.Masked(ref op, cpu.Gpr[GeneralRegister.Rcx]);
            if (count == 0)
            {
                return true;
            }

            if (left == 0)
            {
                cpu.Meter--;
                vcpu.PendingExit = BlockExit.Repeat;
                return false;
            }

            if (left < StringLimits.GiveWay && (stops || vcpu.NeedsAttention))
            {
                cpu.Meter -= (count & (StringLimits.GiveWay - 1)) == 0 ? 1UL : 0;
                vcpu.PendingExit = BlockExit.Repeat;
                return false;
            }

            ulong source = StringIndex.Source(ref cpu, ref op);
            ulong destination = StringIndex.Destination(ref cpu, ref op);
            int done = StringIndex.MayRun<TPort>(ref cpu, ref op)
                ? TOperation.Run<TPort, T>(ref cpu, source, destination, (int)Math.Min(count, stops ? 1UL : (ulong)left))
                : 0;
            if (done == 0)
            {
                if (!TOperation.Element<TPort, T>(ref cpu, ref op, vcpu, source, destination))
                {
                    return false;
                }

                done = 1;
            }

            left -= done;
            cpu.Meter += (ulong)(done * TOperation.Accesses) << 32;
            StringIndex.Advance<TOperation, T>(ref cpu, ref op, (ulong)done);
            AnyAddress.Store(ref cpu, ref op, GeneralRegister.Rcx, count - (ulong)done);
            if (TOperation.Compares && cpu.Flags.ZF != ((op.Flags & OpFlags.Rep) != 0))
            {
                return true;
            }
        }
    }
}

internal readonly struct MoveString : IStringOperation
{
    public static bool Compares => false;

    public static int Accesses => 2;

    public static bool UsesSource => true;

    public static bool UsesDestination => true;

    public static bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T> =>
        TPort.Read(ref cpu, vcpu, source, out T value) && TPort.Write(ref cpu, vcpu, destination, value);

    public static unsafe int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        count = Math.Min(StringRun.ElementsInPage<T>(source), Math.Min(StringRun.ElementsInPage<T>(destination), count));
        if (count <= 1)
        {
            return 0;
        }

        int length = count * sizeof(T);
        T* from = (T*)TPort.TryRun(ref cpu, source, length, write: false);
        T* to = (T*)TPort.TryRun(ref cpu, destination, length, write: true);
        if (from == null || to == null)
        {
            return 0;
        }

        if ((nuint)((byte*)to - (byte*)from) >= (nuint)length)
        {
            Buffer.MemoryCopy(from, to, length, length);
            return count;
        }

        for (int i = 0; i < count; i++)
        {
            Unsafe.WriteUnaligned(to + i, Unsafe.ReadUnaligned<T>(from + i));
        }

        return count;
    }
}

internal readonly struct StoreString : IStringOperation
{
    public static bool Compares => false;

    public static int Accesses => 1;

    public static bool UsesSource => false;

    public static bool UsesDestination => true;

    public static bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T> =>
        TPort.Write(ref cpu, vcpu, destination, CpuState.At<T>(ref cpu, OperandLayout.Gpr));

    public static unsafe int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        count = Math.Min(StringRun.ElementsInPage<T>(destination), count);
        nint to = count <= 1 ? 0 : TPort.TryRun(ref cpu, destination, count * sizeof(T), write: true);
        if (to == 0)
        {
            return 0;
        }

        new Span<T>((void*)to, count).Fill(CpuState.At<T>(ref cpu, OperandLayout.Gpr));
        return count;
    }
}

internal readonly struct LoadString : IStringOperation
{
    public static bool Compares => false;

    public static int Accesses => 1;

    public static bool UsesSource => true;

    public static bool UsesDestination => false;

    public static bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!TPort.Read(ref cpu, vcpu, source, out T value))
        {
            return false;
        }

        CpuState.Set(ref cpu, OperandLayout.Gpr, value);
        return true;
    }

    public static int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T> => 0;
}

internal readonly struct ScanString : IStringOperation
{
    public static bool Compares => true;

    public static int Accesses => 1;

    public static bool UsesSource => false;

    public static bool UsesDestination => true;

    public static bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!TPort.Read(ref cpu, vcpu, destination, out T value))
        {
            return false;
        }

        Cmp.Apply(ref cpu.Flags, CpuState.At<T>(ref cpu, OperandLayout.Gpr), value);
        return true;
    }

    public static int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T> => 0;
}

internal readonly struct CompareString : IStringOperation
{
    public static bool Compares => true;

    public static int Accesses => 2;

    public static bool UsesSource => true;

    public static bool UsesDestination => true;

    public static bool Element<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong source, ulong destination)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!TPort.Read(ref cpu, vcpu, source, out T a) || !TPort.Read(ref cpu, vcpu, destination, out T b))
        {
            return false;
        }

        Cmp.Apply(ref cpu.Flags, a, b);
        return true;
    }

    public static int Run<TPort, T>(ref CpuState cpu, ulong source, ulong destination, int count)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T> => 0;
}

internal static class StringLimits
{
    /// <summary>The elements after which a repeated string instruction counts as one instruction more.</summary>
    public const int GiveWay = 1 << 16;
}

internal static class StringRun
{
    /// <summary>How many whole elements lie between an address and the end of its page.</summary>
    public static unsafe int ElementsInPage<T>(ulong gva)
        where T : unmanaged => (int)((4096 - (gva & 4095)) / (ulong)sizeof(T));
}
