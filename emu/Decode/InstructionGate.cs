using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Which opcodes a processor model has: those of which every feature is claimed. The others raise #UD.</summary>
internal sealed class InstructionGate
{
    private readonly bool[] allowed = new bool[Enum.GetValues<Code>().Length];

    /// <summary>Works it out for every opcode.</summary>
    public InstructionGate(IReadOnlySet<CpuFeature> claimed)
    {
        HashSet<CpuidFeature> present = [.. CpuFeatureTable.Baseline];
        foreach (CpuFeatureRow row in CpuFeatureTable.Rows)
        {
            if (claimed.Contains(row.Feature))
            {
                present.UnionWith(row.Instructions);
            }
        }

        foreach (Code code in Enum.GetValues<Code>())
        {
            bool has = true;
            foreach (CpuidFeature feature in code.CpuidFeatures())
            {
                has &= present.Contains(feature);
            }

            allowed[(int)code] = HasOlderMeaning(code.Mnemonic()) || (has && (present.Contains(CpuidFeature.MMX) || !NamesMmx(code)));
        }
    }

    /// <summary>Whether the processor has an opcode.</summary>
    public bool Allows(Code code) => allowed[(int)code];

    /// <summary>Encodings that processors without the feature take for something older: hints, and prefixes that mean nothing.</summary>
    private static bool HasOlderMeaning(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Prefetch or Mnemonic.Prefetchw or Mnemonic.Prefetchwt1 or Mnemonic.Prefetchit0 or Mnemonic.Prefetchit1 or Mnemonic.Cldemote
        or Mnemonic.Rdsspd or Mnemonic.Rdsspq or Mnemonic.Endbr32 or Mnemonic.Endbr64 or Mnemonic.Tzcnt or Mnemonic.Lzcnt or Mnemonic.Wbnoinvd;

    private static bool NamesMmx(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        for (int i = 0; i < info.OpCount; i++)
        {
            if (info.GetOpKind(i) is OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem)
            {
                return true;
            }
        }

        return false;
    }
}
