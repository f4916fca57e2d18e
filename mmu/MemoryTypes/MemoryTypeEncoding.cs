namespace Quadwalk.Mmu;

/// <summary>What the registers and entries that hold memory types accept.</summary>
public static class MemoryTypeEncoding
{
    private const int BitsOfByte = 8;
    private const int Bytes = sizeof(ulong);

    /// <summary>Whether a byte is a type for an MTRR or an EPT entry: UC, WC, WT, WP or WB (SDM Vol. 3A, table 13-8).</summary>
    public static bool IsForMtrr(byte encoding) => encoding is 0 or 1 or 4 or 5 or 6;

    /// <summary>Whether a byte is a type for a PAT entry: one for an MTRR, or UC- (SDM Vol. 3A, table 13-10).</summary>
    public static bool IsForPat(byte encoding) => IsForMtrr(encoding) || encoding == (byte)MemoryType.UCMinus;

    /// <summary>Whether each byte of a fixed-range MTRR is a type; WRMSR raises #GP where not.</summary>
    public static bool AreForMtrr(ulong register)
    {
        for (int i = 0; i < Bytes; i++)
        {
            if (!IsForMtrr((byte)(register >> (i * BitsOfByte))))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether each byte of IA32_PAT is a type; WRMSR raises #GP where not.</summary>
    public static bool AreForPat(ulong register)
    {
        for (int i = 0; i < Bytes; i++)
        {
            if (!IsForPat((byte)(register >> (i * BitsOfByte))))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The SDM's mnemonic: UC, WC, WT, WP, WB or UC-.</summary>
    public static string Name(MemoryType type) => type switch
    {
        MemoryType.UCMinus => "UC-",
        MemoryType.UC or MemoryType.WC or MemoryType.WT or MemoryType.WP or MemoryType.WB => type.ToString(),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a memory type."),
    };
}
