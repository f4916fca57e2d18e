using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Fused multiply-adds whose operands are chosen so that product and addend nearly cancel, meet at a rounding boundary, underflow or
/// overflow, in every setting of MXCSR but unmasked exceptions.
/// </summary>
[TestFixture]
public sealed class FmaTests
{
    private const int Cases = 40_000;
    private const int LongCases = 3_000_000;

    // VFMADD231SD and VFNMSUB231SS xmm0, xmm1, xmm2: xmm1 * xmm2 + xmm0.
    private static readonly byte[] AddDoubles = [0xC4, 0xE2, 0xF1, 0xB9, 0xC2];
    private static readonly byte[] NegatedSubtractSingles = [0xC4, 0xE2, 0x71, 0xBF, 0xC2];

    [Test]
    public void DoublesAreExact() => Compare(AddDoubles, NextDoubles, Cases);

    [Test]
    public void SinglesAreExact() => Compare(NegatedSubtractSingles, NextSingles, Cases);

    [Test]
    [Category("Full")]
    public void DoublesAreExactAtLength() => Compare(AddDoubles, NextDoubles, LongCases);

    [Test]
    [Category("Full")]
    public void SinglesAreExactAtLength() => Compare(NegatedSubtractSingles, NextSingles, LongCases);

    private static void Compare(byte[] bytes, Func<OperandSource, (UInt128 A, UInt128 B, UInt128 C)> next, int cases)
    {
        if (!HostProcessor.IsSupported || !System.Runtime.Intrinsics.X86.Fma.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host that has the instruction");
        }

        using HostProcessor host = new();
        using SingleInstruction emulated = new();
        OperandSource source = new(77);
        InstructionForm form = new(default, bytes);
        HashSet<uint> flags = [];
        for (int i = 0; i < cases; i++)
        {
            HostState start = new() { Mxcsr = source.NextMxcsr() & ~(source.NextIndex(2) == 0 ? Mxcsr.Flags : 0) };
            (start.Xmm[1], start.Xmm[2], start.Xmm[0]) = next(source);
            HostState ours = start, theirs = start;
            BlockExit exit = emulated.Execute(form, ref ours, out _);
            host.Run(bytes, ref theirs);
            if (exit != BlockExit.Branch || ours.Xmm[0] != theirs.Xmm[0] || ours.Mxcsr != theirs.Mxcsr)
            {
                Assert.Fail($"{exit} {start.Xmm[1]:x} * {start.Xmm[2]:x} + {start.Xmm[0]:x}, mxcsr {start.Mxcsr:x}: {ours.Xmm[0]:x} {ours.Mxcsr:x}, host {theirs.Xmm[0]:x} {theirs.Mxcsr:x}");
            }

            flags.Add(theirs.Mxcsr & ~start.Mxcsr & Mxcsr.Flags);
        }

        Assert.That(flags, Is.SupersetOf((uint[])[0, Mxcsr.IE, Mxcsr.DE, Mxcsr.PE, Mxcsr.UE | Mxcsr.PE, Mxcsr.OE | Mxcsr.PE]));
    }

    private static (UInt128 A, UInt128 B, UInt128 C) NextDoubles(OperandSource source)
    {
        ulong a = source.NextDouble(), b = source.NextDouble();
        double product = -(BitConverter.UInt64BitsToDouble(a) * BitConverter.UInt64BitsToDouble(b));
        ulong near = BitConverter.DoubleToUInt64Bits(product) + (ulong)(source.NextIndex(5) - 2);
        ulong c = source.NextIndex(4) switch
        {
            0 => source.NextDouble(),
            1 => near ^ ((ulong)source.NextIndex(2) << 63),
            2 => near - ((ulong)source.NextIndex(120) << 52),
            _ => near + ((ulong)source.NextIndex(120) << 52),
        };
        return (a, b, c);
    }

    private static (UInt128 A, UInt128 B, UInt128 C) NextSingles(OperandSource source)
    {
        uint a = source.NextSingle(), b = source.NextSingle();
        float product = -(BitConverter.UInt32BitsToSingle(a) * BitConverter.UInt32BitsToSingle(b));
        uint near = BitConverter.SingleToUInt32Bits(product) + (uint)(source.NextIndex(5) - 2);
        uint c = source.NextIndex(4) switch
        {
            0 => source.NextSingle(),
            1 => near ^ ((uint)source.NextIndex(2) << 31),
            2 => near - ((uint)source.NextIndex(60) << 23),
            _ => near + ((uint)source.NextIndex(60) << 23),
        };
        return (a, b, c);
    }
}
