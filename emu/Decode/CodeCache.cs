using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// Decoded blocks, found by address and kept by the physical frame their bytes came from, so that a write to the frame, by
/// whatever address or party, drops what it overwrote.
/// </summary>
internal sealed unsafe class CodeCache : IDisposable
{
    private const nuint ArenaSize = 32 << 20;
    private const int TableBits = 14;
    private const int LineShift = 6;

    private readonly Dictionary<BlockKey, nint> blocks = [];
    private readonly Dictionary<ulong, FrameRecord> frames = [];
    private byte* arena;
    private nuint used;

    public CodeCache()
    {
        arena = (byte*)NativeMemory.AlignedAlloc(ArenaSize, 64);
        Table = (Block**)NativeMemory.AlignedAlloc((nuint)sizeof(Block*) << TableBits, 64);
        Nowhere = (Block*)NativeMemory.AlignedAlloc((nuint)sizeof(Block), 64);
        NativeMemory.Clear(Nowhere, (nuint)sizeof(Block));
        Flush();
    }

    /// <summary>Blocks by <see cref="Slot"/>, each entry a block or <see cref="Nowhere"/>; a guess to be checked.</summary>
    public Block** Table { get; private set; }

    /// <summary>A block that is never valid: where links lead that have not been followed yet.</summary>
    public Block* Nowhere { get; private set; }

    /// <summary>Counts flushes; pointers to blocks and operations from an earlier count dangle.</summary>
    public ulong Generation { get; private set; }

    /// <summary>Where in <see cref="Table"/> the block at an address is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint Slot(ulong rip) => (nuint)(rip ^ (rip >> TableBits)) & ((1 << TableBits) - 1);

    /// <summary>A valid block by its key, or null.</summary>
    public Block* Find(ulong rip, ulong frame, BlockMode mode) =>
        blocks.TryGetValue(new BlockKey(rip, frame, mode), out nint block) ? (Block*)block : null;

    /// <summary>Room for a block of up to <paramref name="ops"/> operations; flushes first where there is none.</summary>
    public Block* Reserve(int ops)
    {
        if (used + Size(ops) > ArenaSize)
        {
            Flush();
        }

        return (Block*)(arena + used);
    }

    /// <summary>Keeps the block that was written where <see cref="Reserve"/> said; true when its frame had no code before.</summary>
    public bool Add(Block* block)
    {
        used += Size(block->OpCount);
        blocks[new BlockKey(block->Rip, block->Frame, block->Mode)] = (nint)block;
        bool first = Enlist(block->Frame, block, block->Lines);
        return (block->SecondFrame != Block.NoFrame && Enlist(block->SecondFrame, block, 1)) | first;
    }

    /// <summary>The code of an engine that has a translator of its own; null where there is none.</summary>
    public TranslatedFrames? Translated { get; set; }

    /// <summary>Whether decoded or translated code came from the frame of a host address.</summary>
    public bool HoldsCode(ulong host) => frames.ContainsKey(host & ~PageSize.Mask4K) || (Translated is not null && Translated.HoldsCode(host));

    /// <summary>To be told of each write to guest memory, which lies in one page: drops the blocks that it overwrote.</summary>
    public void Written(ulong host, int length)
    {
        ulong frame = host & ~PageSize.Mask4K;
        Translated?.Written(host, length);
        if (length == 0 || !frames.TryGetValue(frame, out FrameRecord? record))
        {
            return;
        }

        int first = (int)(host & PageSize.Mask4K) >> LineShift;
        int last = (int)((host + (ulong)length - 1) & PageSize.Mask4K) >> LineShift;
        ulong lines = LinesBetween(first, last);
        if ((record.Lines & lines) == 0)
        {
            return;
        }

        for (int i = record.Blocks.Count - 1; i >= 0; i--)
        {
            Block* block = (Block*)record.Blocks[i];
            if ((LinesIn(block, frame) & lines) != 0)
            {
                Invalidate(block);
                Delist(block->Frame, block);
                if (block->SecondFrame != Block.NoFrame)
                {
                    Delist(block->SecondFrame, block);
                }

                i = Math.Min(i, record.Blocks.Count);
            }
        }
    }

    /// <summary>The bits of the lines that <paramref name="length"/> bytes at a page offset touch.</summary>
    public static ulong LinesOf(int offset, int length) => LinesBetween(offset >> LineShift, Math.Min(offset + length - 1, (int)PageSize.Mask4K) >> LineShift);

    /// <summary>Drops everything. No operation may be running.</summary>
    public void Flush()
    {
        Generation++;
        used = 0;
        blocks.Clear();
        frames.Clear();
        for (int i = 0; i < 1 << TableBits; i++)
        {
            Table[i] = Nowhere;
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(arena);
        NativeMemory.AlignedFree(Table);
        NativeMemory.AlignedFree(Nowhere);
        arena = null;
        Table = null;
        Nowhere = null;
    }

    private static nuint Size(int ops) => (nuint)sizeof(Block) + ((nuint)ops * (nuint)sizeof(Op));

    private static ulong LinesBetween(int first, int last) => (ulong.MaxValue << first) & (ulong.MaxValue >> (63 - last));

    private static ulong LinesIn(Block* block, ulong frame) =>
        (block->Frame == frame ? block->Lines : 0) | (block->SecondFrame == frame ? 1UL : 0);

    private void Invalidate(Block* block)
    {
        block->Epoch = 0;
        blocks.Remove(new BlockKey(block->Rip, block->Frame, block->Mode));
        Op* ops = Block.Ops(block);
        for (int i = 0; i < block->OpCount; i++)
        {
            ops[i].Handler = &BlockEnd.Stale;
        }
    }

    private bool Enlist(ulong frame, Block* block, ulong lines)
    {
        bool known = frames.TryGetValue(frame, out FrameRecord? record);
        if (!known)
        {
            record = new FrameRecord();
            frames[frame] = record;
        }

        record!.Blocks.Add((nint)block);
        record.Lines |= lines;
        return !known;
    }

    private void Delist(ulong frame, Block* block)
    {
        if (!frames.TryGetValue(frame, out FrameRecord? record))
        {
            return;
        }

        record.Blocks.Remove((nint)block);
        if (record.Blocks.Count == 0)
        {
            frames.Remove(frame);
            record.Lines = 0;
            return;
        }

        ulong lines = 0;
        foreach (nint other in record.Blocks)
        {
            lines |= LinesIn((Block*)other, frame);
        }

        record.Lines = lines;
    }

    private readonly record struct BlockKey(ulong Rip, ulong Frame, BlockMode Mode);

    private sealed class FrameRecord
    {
        public List<nint> Blocks { get; } = [];

        public ulong Lines { get; set; }
    }
}
