using System.Runtime.InteropServices;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// Makes a random state one in which an opcode has something to do: numbers for floating-point operands, texts of few letters and short
/// lengths for string comparisons, and contents in the x87 registers, which MMX shares.
/// </summary>
internal sealed class VectorStates(HostProcessor host, OperandSource source, Code code)
{
    private const int Middle = HostProcessor.ScratchSize / 2;
    private const int Filled = 0x400;

    private static readonly byte[][] Alphabets =
    [
        [0, 1, 2], [1, 2], [0x00, 0x7F, 0x80, 0xFF], [1, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF], [.. "abcdefgh"u8], [0, .. "ab"u8],
    ];

    private readonly MemorySize element = (code.ToOpCode().MemorySize).GetElementType();

    private readonly bool isString = code.Mnemonic() is Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64
        or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm or Mnemonic.Vpcmpestri or Mnemonic.Vpcmpestri64 or Mnemonic.Vpcmpestrm or Mnemonic.Vpcmpestrm64
        or Mnemonic.Vpcmpistri or Mnemonic.Vpcmpistrm;

    /// <summary>Changes registers that hold no address, and memory.</summary>
    public void Prepare(InstructionForm form, ref HostState state)
    {
        FillX87(ref state);
        if (isString)
        {
            FillText(form, ref state);
        }
        else if (element is MemorySize.Float32 or MemorySize.Float64 && !form.Instruction.IsVsib && source.NextIndex(8) != 0)
        {
            FillNumbers(ref state);
        }
    }

    /// <summary>Any TOP, tags, condition codes and flags of masked exceptions, and any bits in the registers.</summary>
    private void FillX87(ref HostState state)
    {
        state.X87.Status = (ushort)(source.NextBits() & 0x7F7F);
        state.X87.Tags = (byte)source.NextBits();
        for (int i = 0; i < 8; i++)
        {
            state.X87.St[i] = new UInt128(source.NextBits() & 0xFFFF, (ulong)source.NextXmm());
        }
    }

    private void FillNumbers(ref HostState state)
    {
        for (int i = 0; i < 16; i++)
        {
            state.Xmm[i] = NextNumbers();
            state.YmmHigh[i] = NextNumbers();
        }

        Span<UInt128> middle = MemoryMarshal.Cast<byte, UInt128>(host.Scratch.Slice(Middle - (Filled / 2), Filled));
        for (int i = 0; i < middle.Length; i++)
        {
            middle[i] = NextNumbers();
        }
    }

    private UInt128 NextNumbers() => element == MemorySize.Float32 ? source.NextSingles() : source.NextDoubles();

    private void FillText(InstructionForm form, ref HostState state)
    {
        if (source.NextIndex(8) == 0)
        {
            return;
        }

        byte[] alphabet = Alphabets[source.NextIndex(Alphabets.Length)];
        bool words = (form.Bytes[^1] & 1) != 0 && source.NextIndex(4) != 0;
        for (int i = 0; i < 16; i++)
        {
            state.Xmm[i] = NextText(alphabet, words);
        }

        Span<UInt128> middle = MemoryMarshal.Cast<byte, UInt128>(host.Scratch.Slice(Middle - (Filled / 2), Filled));
        for (int i = 0; i < middle.Length; i++)
        {
            middle[i] = NextText(alphabet, words);
        }

        foreach (Register length in (Register[])[Register.RAX, Register.RDX])
        {
            ulong small = (ulong)(long)(source.NextIndex(41) - 20);
            state[length] = source.NextIndex(2) == 0 ? small : (uint)small | (source.NextBits() << 32);
        }
    }

    private UInt128 NextText(byte[] alphabet, bool words)
    {
        UInt128 text = 0;
        for (int i = 0; i < 16; i++)
        {
            uint letter = alphabet[source.NextIndex(alphabet.Length)];
            if (words)
            {
                text |= (UInt128)(ushort)(letter >= 0x80 ? letter | 0xFF00 : letter) << (8 * i++);
            }
            else
            {
                text |= (UInt128)letter << (8 * i);
            }
        }

        return text;
    }
}
