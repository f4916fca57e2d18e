using System.Runtime.CompilerServices;
using Iced.Intel;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// Decodes what Unicorn translated, once for each block: how many instructions it has, and which of them Unicorn must leave alone. What is kept
/// stands for one epoch of translations; behind it, blocks are kept by the frames of their bytes.
/// </summary>
internal sealed unsafe class UnicornBlocks(Vcpu vcpu, UnicornGate gate, TranslatedFrames frames)
{
    private const int RecentBits = 12;
    private const int MaxKept = 1 << 16;
    private const int MaxInstructionLength = 15;

    private readonly InstructionDecoder decoder = new();
    private readonly InstructionInfoFactory infoFactory = new();
    private readonly Dictionary<(ulong Address, uint Size, ulong First, ulong Second), UnicornBlock> kept = [];
    private readonly UnicornBlock[] recent = new UnicornBlock[1 << RecentBits];
    private readonly ulong[] recentEpoch = new ulong[1 << RecentBits];
    private UnicornGate.Conditions conditions;
    private ulong epoch = 1;

    /// <summary>Translations of addresses changed.</summary>
    public void Remapped() => epoch++;

    /// <summary>The bytes of some block changed.</summary>
    public void Clear()
    {
        epoch++;
        kept.Clear();
    }

    /// <summary>Takes up the state that decides which instructions Unicorn may execute.</summary>
    public void TakeUp(UnicornGate.Conditions now)
    {
        if (conditions != now)
        {
            conditions = now;
            Clear();
        }
    }

    /// <summary>The block at an address, as large as Unicorn made it; false where its bytes cannot be had.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFind(ulong address, uint size, out UnicornBlock block)
    {
        nuint slot = (nuint)(address ^ (address >> RecentBits)) & ((1 << RecentBits) - 1);
        ref UnicornBlock candidate = ref recent[slot];
        if (candidate.Address == address && candidate.Size == size && recentEpoch[slot] == epoch)
        {
            block = candidate;
            return true;
        }

        if (!TryFindSlow(address, size, out block))
        {
            return false;
        }

        candidate = block;
        recentEpoch[slot] = epoch;
        return true;
    }

    /// <summary>How many instructions of a block lie before an address, their data accesses, and what they do to flags.</summary>
    public (int Count, int Accesses, FlagsEffect Flags) Before(in UnicornBlock block, ulong rip)
    {
        int count = 0;
        int accesses = 0;
        FlagsEffect flags = default;
        byte* bytes = stackalloc byte[MaxInstructionLength];
        for (ulong at = block.Address; at < rip && TryDecode(at, bytes, out Instruction instruction) && !instruction.IsInvalid; at = instruction.NextIP)
        {
            count++;
            accesses += BlockBuilder.AccessesOf(instruction, infoFactory);
            flags = flags.Then(instruction);
        }

        return (count, accesses, flags);
    }

    private bool TryFindSlow(ulong address, uint size, out UnicornBlock block)
    {
        block = default;
        ulong last = address + size - 1;
        byte* first = vcpu.Memory.Translate(address, AccessKind.Execute);
        bool crosses = (address ^ last) >> PageSize.Shift4K != 0;
        byte* second = crosses ? vcpu.Memory.Translate(last & ~PageSize.Mask4K, AccessKind.Execute) : null;
        if (first == null || (crosses && second == null))
        {
            return false;
        }

        (ulong, uint, ulong, ulong) key = (address, size, (ulong)first & ~PageSize.Mask4K, (ulong)second);
        if (!kept.TryGetValue(key, out block))
        {
            if (kept.Count == MaxKept)
            {
                kept.Clear();
            }

            block = Decode(address, size);
            int inFirst = crosses ? (int)(PageSize.Size4K - (address & PageSize.Mask4K)) : (int)size;
            frames.Translated((ulong)first, inFirst);
            frames.Translated((ulong)second, (int)size - inFirst);
            kept.Add(key, block);
        }

        return true;
    }

    private UnicornBlock Decode(ulong address, uint size)
    {
        int count = 0;
        int allowed = -1;
        int accesses = 0;
        uint vectors = 0;
        FlagsEffect flags = default;
        ulong next = 0;
        Instruction last = default;
        ulong end = address + size;
        ulong at = address;
        byte* bytes = stackalloc byte[MaxInstructionLength];
        while (at < end)
        {
            bool whole = TryDecode(at, bytes, out Instruction instruction) && !instruction.IsInvalid && instruction.NextIP <= end;
            if (allowed < 0 && !(whole && gate.Allows(instruction, new ReadOnlySpan<byte>(bytes, instruction.Length), conditions)))
            {
                allowed = count;
                next = at;
            }

            count++;
            if (!whole)
            {
                break;
            }

            accesses += BlockBuilder.AccessesOf(instruction, infoFactory);
            vectors |= VectorsOf(instruction);
            flags = flags.Then(instruction);
            last = instruction;
            at = instruction.NextIP;
        }

        return new UnicornBlock(address, size, count, allowed < 0 ? count : allowed, next, last.IP, last.StackPointerIncrement, accesses, vectors, flags);
    }

    private uint VectorsOf(in Instruction instruction)
    {
        uint written = 0;
        foreach (UsedRegister used in infoFactory.GetInfo(instruction, InstructionInfoOptions.NoMemoryUsage).GetUsedRegisters())
        {
            if (used.Register.IsXMM() && used.Access is not (OpAccess.Read or OpAccess.CondRead or OpAccess.None))
            {
                written |= 1U << (used.Register - Register.XMM0);
            }
        }

        return written & 0xffff;
    }

    private bool TryDecode(ulong at, byte* bytes, out Instruction instruction)
    {
        instruction = default;
        byte* first = vcpu.Memory.Translate(at, AccessKind.Execute);
        if (first == null)
        {
            return false;
        }

        int inPage = Math.Min(MaxInstructionLength, (int)(PageSize.Size4K - (at & PageSize.Mask4K)));
        new ReadOnlySpan<byte>(first, inPage).CopyTo(new Span<byte>(bytes, MaxInstructionLength));
        instruction = decoder.Decode(bytes, inPage, at, BlockMode.None);
        if (!instruction.IsInvalid || inPage == MaxInstructionLength)
        {
            return true;
        }

        byte* second = vcpu.Memory.Translate(at + (ulong)inPage, AccessKind.Execute);
        if (second == null)
        {
            return false;
        }

        new ReadOnlySpan<byte>(second, MaxInstructionLength - inPage).CopyTo(new Span<byte>(bytes + inPage, MaxInstructionLength - inPage));
        instruction = decoder.Decode(bytes, MaxInstructionLength, at, BlockMode.None);
        return true;
    }
}
