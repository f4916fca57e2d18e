using System.Numerics;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The memory type range registers as they stand, and the type they give a physical address (SDM Vol. 3A, section 13.11).
/// </summary>
/// <remarks>A copy: to be made anew after a write to one of the registers. The registers hold what WRMSR lets them hold.</remarks>
public sealed class MemoryTypeRanges
{
    /// <summary>How many fixed-range registers there are: IA32_MTRR_FIX64K_00000, two of 16 KiB, eight of 4 KiB.</summary>
    public const int FixedCount = 11;

    private const ulong EnabledBit = 1 << 11, FixedEnabledBit = 1 << 10, ValidBit = 1 << 11;
    private const ulong Start16K = 0x8_0000, Start4K = 0xC_0000, EndOfFixed = 0x10_0000;
    private const int Shift64K = 16, Shift16K = 14, First16K = 1, First4K = 3, RangesOfRegister = 8, BitsOfRange = 8;
    private const int MostVariable = 32;

    private readonly ulong[] fixedRanges;
    private readonly Range[] variableRanges;
    private readonly ulong defaultType;
    private readonly bool present;

    /// <summary>Takes the registers down.</summary>
    /// <param name="defaultType">IA32_MTRR_DEF_TYPE.</param>
    /// <param name="fixedRanges">The <see cref="FixedCount"/> fixed-range registers by address.</param>
    /// <param name="variableRanges">IA32_MTRR_PHYSBASE0, IA32_MTRR_PHYSMASK0 and so on; 32 pairs at most.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR, which bounds the bits that masks compare.</param>
    /// <exception cref="ArgumentException">A count of registers is wrong.</exception>
    public MemoryTypeRanges(ulong defaultType, ReadOnlySpan<ulong> fixedRanges, ReadOnlySpan<ulong> variableRanges, byte physicalAddressBits)
    {
        if (fixedRanges.Length != FixedCount || variableRanges.Length % 2 != 0 || variableRanges.Length > 2 * MostVariable)
        {
            throw new ArgumentException($"{fixedRanges.Length} fixed-range registers and {variableRanges.Length} of variable ranges.", nameof(fixedRanges));
        }

        present = true;
        this.defaultType = defaultType;
        this.fixedRanges = fixedRanges.ToArray();
        ulong physical = (1UL << physicalAddressBits) - 1;
        this.variableRanges = new Range[variableRanges.Length / 2];
        for (int i = 0; i < this.variableRanges.Length; i++)
        {
            ulong first = variableRanges[2 * i], mask = variableRanges[(2 * i) + 1];
            this.variableRanges[i] = new Range(first & physical & ~PageSize.Mask4K, mask & physical & ~PageSize.Mask4K, (MemoryType)(byte)first, (mask & ValidBit) != 0);
        }
    }

    private MemoryTypeRanges()
    {
        fixedRanges = [];
        variableRanges = [];
    }

    /// <summary>Of a processor that has none.</summary>
    public static MemoryTypeRanges Absent { get; } = new();

    private bool IsEnabled => (defaultType & EnabledBit) != 0;

    private bool FixedEnabled => IsEnabled && (defaultType & FixedEnabledBit) != 0;

    /// <summary>The type of an address. Fixed ranges go before variable ones, and the default type is what is left.</summary>
    public MtrrSelection TypeAt(Gpa address)
    {
        if (!present)
        {
            return new MtrrSelection(MemoryType.WB, MtrrSource.Absent);
        }

        if (!IsEnabled)
        {
            return new MtrrSelection(MemoryType.UC, MtrrSource.Disabled);
        }

        return FixedEnabled && address.Value < EndOfFixed ? FixedType(address.Value) : VariableType(address.Value);
    }

    /// <summary>All types of a page.</summary>
    /// <param name="page">An address in the page.</param>
    /// <param name="pageShift">log2 of its size, from 12 on.</param>
    public MtrrTypes TypesIn(Gpa page, int pageShift)
    {
        uint low = 0, high = 0;
        Collect(page.Value & ~((1UL << pageShift) - 1), pageShift, ref low, ref high);
        List<MemoryType> types = [];
        for (uint rest = low | high; rest != 0; rest &= rest - 1)
        {
            types.Add((MemoryType)BitOperations.TrailingZeroCount(rest));
        }

        bool mixed = BitOperations.PopCount(high) > 1;
        bool split = !mixed && pageShift > PageSize.Shift4K && types.Count > 1;
        return new MtrrTypes(types, mixed, split);
    }

    /// <summary>Halves a block until no register tells its bytes apart.</summary>
    private void Collect(ulong block, int shift, ref uint low, ref uint high)
    {
        bool isFixed = FixedEnabled && block < EndOfFixed;
        if (shift > PageSize.Shift4K && (isFixed || (IsEnabled && Divides(block, shift))))
        {
            Collect(block, shift - 1, ref low, ref high);
            Collect(block | (1UL << (shift - 1)), shift - 1, ref low, ref high);
            return;
        }

        uint type = 1u << (int)TypeAt(new Gpa(block)).Type;
        low |= isFixed ? type : 0;
        high |= isFixed ? 0 : type;
    }

    private bool Divides(ulong block, int shift)
    {
        ulong inside = (1UL << shift) - 1;
        foreach (Range range in variableRanges)
        {
            if (range.Valid && (range.Mask & inside) != 0 && ((block ^ range.Base) & range.Mask & ~inside) == 0)
            {
                return true;
            }
        }

        return false;
    }

    private MtrrSelection FixedType(ulong address)
    {
        (int first, ulong start, int shift) = address switch
        {
            < Start16K => (0, 0UL, Shift64K),
            < Start4K => (First16K, Start16K, Shift16K),
            _ => (First4K, Start4K, PageSize.Shift4K),
        };
        int range = (int)((address - start) >> shift);
        int register = first + (range / RangesOfRegister);
        byte type = (byte)(fixedRanges[register] >> (range % RangesOfRegister * BitsOfRange));
        return new MtrrSelection((MemoryType)type, MtrrSource.Fixed, register);
    }

    private MtrrSelection VariableType(ulong address)
    {
        int matching = 0;
        uint types = 0;
        for (int i = 0; i < variableRanges.Length; i++)
        {
            Range range = variableRanges[i];
            if (range.Valid && ((address ^ range.Base) & range.Mask) == 0)
            {
                matching |= 1 << i;
                types |= 1u << (int)range.Type;
            }
        }

        const uint uncacheable = 1u << (int)MemoryType.UC, through = 1u << (int)MemoryType.WT, back = 1u << (int)MemoryType.WB;
        return types switch
        {
            0 => new MtrrSelection((MemoryType)(byte)defaultType, MtrrSource.Default),
            _ when (types & uncacheable) != 0 => new MtrrSelection(MemoryType.UC, MtrrSource.Variable, matching),
            through | back => new MtrrSelection(MemoryType.WT, MtrrSource.Variable, matching),
            _ when BitOperations.IsPow2(types) => new MtrrSelection((MemoryType)BitOperations.Log2(types), MtrrSource.Variable, matching),
            _ => new MtrrSelection(MemoryType.UC, MtrrSource.UndefinedOverlap, matching),
        };
    }

    private readonly record struct Range(ulong Base, ulong Mask, MemoryType Type, bool Valid);
}
