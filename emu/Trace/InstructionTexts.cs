using System.Runtime.Intrinsics;
using System.Text;
using Iced.Intel;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The text of an instruction.</summary>
/// <param name="Padded">Address, symbol, bytes where wanted, disassembly, and blanks up to the column of the comment.</param>
/// <param name="Padding">How many of the bytes are blanks at the end, and the semicolon.</param>
internal readonly record struct InstructionText(byte[] Padded, int Padding);

/// <summary>Formats instructions, each once: texts are kept by address and bytes, in a table of fixed size.</summary>
internal sealed unsafe class InstructionTexts
{
    private const int TableBits = 15;
    private const int BytesColumn = 31;
    private const int CommentColumn = 64;

    private readonly Entry[] table = new Entry[1 << TableBits];
    private readonly SymbolTable symbols;
    private readonly bool showBytes;
    private readonly NasmFormatter formatter;
    private readonly StringOutput disassembly = new();
    private readonly StringBuilder line = new();
    private readonly InstructionDecoder decoder = new();

    public InstructionTexts(SymbolTable symbols, bool showBytes)
    {
        this.symbols = symbols;
        this.showBytes = showBytes;
        formatter = new NasmFormatter(symbols.Count == 0 ? null : new TraceSymbols(symbols));
        formatter.Options.HexPrefix = "0x";
        formatter.Options.HexSuffix = "";
        formatter.Options.UppercaseHex = false;
        formatter.Options.SpaceAfterOperandSeparator = true;
        formatter.Options.ShowBranchSize = false;
        formatter.Options.BranchLeadingZeros = false;
    }

    /// <summary>The text of a block's first instruction.</summary>
    public InstructionText Of(Block* block)
    {
        int length = Block.Ops(block)->Length;
        Vector128<byte> bytes = BytesOf(block, length);
        ref Entry entry = ref table[(int)((block->Rip ^ (block->Rip >> TableBits)) & ((1 << TableBits) - 1))];
        if (entry.Rip != block->Rip || entry.Mode != block->Mode || entry.Bytes != bytes || entry.Text.Padded is null)
        {
            entry = new Entry { Rip = block->Rip, Mode = block->Mode, Bytes = bytes, Text = Format(block->Rip, bytes, length, block->Mode) };
        }

        return entry.Text;
    }

    /// <summary>The text of an address whose bytes could not be fetched.</summary>
    public InstructionText OfUnfetched(ulong rip) => InPlace(rip, "(no instruction)");

    /// <summary>The text of an address before whose instruction something else happened.</summary>
    public InstructionText OfInterrupted(ulong rip) => InPlace(rip, "(interrupted)");

    /// <summary>An address with its symbol: <c>0x401000 &lt;main+0x10&gt;</c>.</summary>
    public string Name(ulong address) =>
        symbols.TryResolve(new Gva(address), out SymbolLocation location) ? $"{new Gva(address)} <{location}>" : new Gva(address).ToString();

    // SAFETY: a block's frames are mapped as long as the block is valid, and it was found a moment ago; nothing is read beyond a frame.
    private static Vector128<byte> BytesOf(Block* block, int length)
    {
        int offset = (int)((block->Rip + block->CodeBase) & PageSize.Mask4K);
        byte* start = (byte*)block->Frame + offset;
        Vector128<byte> mask = Vector128.LessThan(Vector128<byte>.Indices, Vector128.Create((byte)length));
        if (offset <= (int)PageSize.Size4K - Vector128<byte>.Count)
        {
            return Vector128.Load(start) & mask;
        }

        Span<byte> bytes = stackalloc byte[Vector128<byte>.Count];
        bytes.Clear();
        int inFirst = Math.Min(length, (int)PageSize.Size4K - offset);
        new ReadOnlySpan<byte>(start, inFirst).CopyTo(bytes);
        if (length > inFirst)
        {
            new ReadOnlySpan<byte>((byte*)block->SecondFrame, length - inFirst).CopyTo(bytes[inFirst..]);
        }

        return Vector128.Create<byte>(bytes);
    }

    private InstructionText InPlace(ulong rip, string text)
    {
        WriteAddress(rip);
        line.Append(text);
        return Pad();
    }

    private InstructionText Format(ulong rip, Vector128<byte> bytes, int length, BlockMode mode)
    {
        Vector128<byte> held = bytes;
        Instruction instruction = decoder.Decode((byte*)&held, length, rip, mode);
        WriteAddress(rip);
        if (showBytes)
        {
            string text = Convert.ToHexStringLower(new ReadOnlySpan<byte>(&held, length));
            line.Append(text).Append(' ', Math.Max(1, BytesColumn - text.Length));
        }

        formatter.Format(instruction, disassembly);
        line.Append(disassembly.ToStringAndReset());
        return Pad();
    }

    private void WriteAddress(ulong rip)
    {
        line.Clear().Append($"{rip:x16}");
        if (symbols.TryResolve(new Gva(rip), out SymbolLocation location))
        {
            line.Append(" <").Append(location.ToString()).Append('>');
        }

        line.Append(": ");
    }

    private InstructionText Pad()
    {
        int bare = line.Length;
        line.Append(' ', Math.Max(1, CommentColumn + (showBytes ? BytesColumn : 0) - bare)).Append(';');
        return new InstructionText(Encoding.UTF8.GetBytes(line.ToString()), line.Length - bare);
    }

    private struct Entry
    {
        public ulong Rip;
        public BlockMode Mode;
        public Vector128<byte> Bytes;
        public InstructionText Text;
    }
}
