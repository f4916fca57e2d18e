using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>Bits of the x87 status word (SDM Vol. 1, 8.1.3); the six exceptions have their masks at the same places of the control word.</summary>
internal static class X87Bits
{
    public const uint IE = 1 << 0;
    public const uint DE = 1 << 1;
    public const uint ZE = 1 << 2;
    public const uint OE = 1 << 3;
    public const uint UE = 1 << 4;
    public const uint PE = 1 << 5;
    public const uint SF = 1 << 6;
    public const uint ES = 1 << 7;
    public const uint C0 = 1 << 8;
    public const uint C1 = 1 << 9;
    public const uint C2 = 1 << 10;
    public const uint C3 = 1 << 14;
    public const uint B = 1 << 15;

    /// <summary>The six exceptions, or their masks.</summary>
    public const uint Exceptions = 0x3F;

    /// <summary>The exceptions found before a result is computed: unmasked, they suppress it.</summary>
    public const uint BeforeResult = IE | DE | ZE;

    /// <summary>What a comparison writes.</summary>
    public const uint Comparison = C0 | C2 | C3;

    public const int TopShift = 11;
    public const uint Top = 7 << TopShift;

    public const int RoundingShift = 10;
    public const int PrecisionShift = 8;

    /// <summary>The bits of the control word that can be written: the masks, PC, RC and the infinity control.</summary>
    public const uint ControlWritable = 0x1F3F;

    /// <summary>The bit of the control word that is always 1.</summary>
    public const uint ControlFixed = 0x40;
}

/// <summary>How an x87 instruction computes, and what was found while it did.</summary>
internal struct X87Status(uint control)
{
    /// <summary>Bits to be set in the status word: exceptions, SF and C1.</summary>
    public uint Flags;

    /// <summary>Whether the operand in memory was a denormal single or double: it no longer is one as an extended.</summary>
    public bool SourceIsDenormal;

    /// <summary>That of an instruction which begins; it lies in the state so that handlers have no local whose address is taken.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref X87Status Begin(ref CpuState cpu)
    {
        cpu.X87Status = new X87Status(cpu.X87.Control);
        return ref cpu.X87Status;
    }

    /// <summary>RC.</summary>
    public readonly RoundingMode Rounding => (RoundingMode)(control >> X87Bits.RoundingShift & 3);

    /// <summary>How many low bits of a 64-bit significand precision control leaves off.</summary>
    public readonly int Dropped => (control >> X87Bits.PrecisionShift & 3) switch
    {
        0 => 64 - 24,
        2 => 64 - 53,
        _ => 0,
    };

    /// <summary>Whether results are rounded to nearest at 64 bits: the state after FNINIT.</summary>
    public readonly bool IsDefault => (control & 0xF00) == 0x300;

    /// <summary>Whether an exception has no handler.</summary>
    public readonly bool Masks(uint exception) => (control & exception) == exception;

    /// <summary>A register that is in use where it must not be, or the other way round; the result is then the indefinite.</summary>
    public X87Register StackFault(bool overflow)
    {
        Flags = X87Bits.IE | X87Bits.SF | (overflow ? X87Bits.C1 : 0);
        return ExtendedFloat.Indefinite;
    }

    /// <summary>An invalid operation; the result is the indefinite.</summary>
    public X87Register Invalid()
    {
        Flags |= X87Bits.IE;
        return ExtendedFloat.Indefinite;
    }

    /// <summary>Notes a denormal operand in memory, unless something of higher priority was found (SDM Vol. 1, 4.9.2).</summary>
    public void NoteSource(X87Register result)
    {
        if (SourceIsDenormal && (Flags & (X87Bits.IE | X87Bits.ZE)) == 0 && !ExtendedFloat.IsNaN(result))
        {
            Flags |= X87Bits.DE;
        }
    }

    /// <summary>
    /// Writes C1 and the exceptions to the status word; <see langword="false"/> when one of them is unmasked and suppresses the result.
    /// The next instruction that waits raises #MF then (SDM Vol. 1, 8.7).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Commit(ref CpuState cpu)
    {
        if ((Flags & ~(X87Bits.PE | X87Bits.C1)) == 0 && (Flags & X87Bits.PE & ~control) == 0)
        {
            cpu.X87.Status = (ushort)((cpu.X87.Status & ~X87Bits.C1) | Flags);
            return true;
        }

        return CommitExceptions(ref cpu);
    }

    /// <summary>As <see cref="Commit"/>, for a result that goes to memory: there, unmasked overflow and underflow suppress it too.</summary>
    public bool CommitStore(ref CpuState cpu)
    {
        bool suppressed = (Flags & (X87Bits.OE | X87Bits.UE) & ~control) != 0;
        if (suppressed)
        {
            Flags &= ~(X87Bits.PE | X87Bits.C1);
        }

        return Commit(ref cpu) && !suppressed;
    }

    /// <summary>Whether <see cref="CommitStore"/> would let the result through.</summary>
    public readonly bool Stores => (Flags & (X87Bits.BeforeResult | X87Bits.OE | X87Bits.UE) & ~control) == 0;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private readonly bool CommitExceptions(ref CpuState cpu)
    {
        uint flags = Flags;
        uint unmasked = flags & X87Bits.Exceptions & ~control;
        bool suppressed = (unmasked & X87Bits.BeforeResult) != 0;
        if (suppressed)
        {
            flags &= (flags & X87Bits.SF) != 0 ? X87Bits.IE | X87Bits.SF | X87Bits.C1 : X87Bits.BeforeResult;
        }

        flags |= unmasked != 0 ? X87Bits.ES | X87Bits.B : 0;
        cpu.X87.Status = (ushort)((cpu.X87.Status & ~X87Bits.C1) | flags);
        return !suppressed;
    }
}
