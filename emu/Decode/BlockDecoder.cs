using System.Runtime.CompilerServices;
using Iced.Intel;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Finds the block at RIP, decoding it where it is new.</summary>
internal sealed unsafe class BlockDecoder(Vcpu vcpu)
{
    private const int MaxInstructions = 64;
    private const int MaxInstructionLength = 15;

    private readonly InstructionDecoder decoder = new();
    private readonly InstructionInfoFactory infoFactory = new();

    /// <summary>The block at the processor's RIP and mode; null with a fault recorded when its bytes cannot be fetched.</summary>
    public Block* Lookup()
    {
        CpuState* cpu = vcpu.StatePointer;
        ulong rip = cpu->Rip;
        ref Block* slot = ref cpu->BlockTable[CodeCache.Slot(rip)];
        Block* block = slot;
        if (block->Rip == rip && block->Epoch == cpu->Epoch && block->Mode == cpu->Mode)
        {
            return block;
        }

        byte* host = vcpu.Memory.Translate(rip, AccessKind.Execute);
        if (host == null)
        {
            return FetchFailed(rip);
        }

        ulong frame = (ulong)host & ~PageSize.Mask4K;
        block = vcpu.Code.Find(rip, frame, cpu->Mode);
        if (block == null)
        {
            block = Decode(rip, host, cpu->Mode);
        }
        else if (block->SecondFrame != Block.NoFrame)
        {
            ulong nextPage = (rip | PageSize.Mask4K) + 1;
            byte* second = vcpu.Memory.Translate(nextPage, AccessKind.Execute);
            if (second == null)
            {
                return FetchFailed(nextPage);
            }

            if ((ulong)second != block->SecondFrame)
            {
                vcpu.Code.Written(block->Frame | (rip & PageSize.Mask4K), 1);
                block = Decode(rip, host, cpu->Mode);
            }
        }

        if (block != null)
        {
            block->Epoch = cpu->Epoch;
            cpu->BlockTable[CodeCache.Slot(rip)] = block;
        }

        return block;
    }

    private Block* FetchFailed(ulong address)
    {
        if (vcpu.PendingExit == BlockExit.Mmio)
        {
            vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.FetchFromNowhere, address);
        }

        return null;
    }

    private Block* Decode(ulong rip, byte* host, BlockMode mode)
    {
        vcpu.Counters.BlocksDecoded++;
        Block* block = vcpu.Code.Reserve(MaxInstructions + 1);
        *block = new Block { Rip = rip, Frame = (ulong)host & ~PageSize.Mask4K, SecondFrame = Block.NoFrame, Mode = mode };
        BlockBuilder builder = new(block, vcpu.Code.Nowhere, mode);
        ulong pageStart = rip & ~PageSize.Mask4K;
        byte* page = (byte*)block->Frame;
        ulong at = rip;
        int limit = (mode & BlockMode.Single) != 0 ? 1 : MaxInstructions;
        while (block->Count < limit && at - pageStart < PageSize.Size4K)
        {
            int offset = (int)(at - pageStart);
            Instruction instruction = decoder.Decode(page + offset, Math.Min((int)PageSize.Size4K - offset, MaxInstructionLength), at);
            if (instruction.IsInvalid && offset + MaxInstructionLength > (int)PageSize.Size4K && decoder.NeedsMoreBytes)
            {
                if (block->Count != 0)
                {
                    break;
                }

                if (!DecodeAcross(block, page + offset, (int)PageSize.Size4K - offset, at, out instruction))
                {
                    return null;
                }
            }

            block->Lines |= CodeCache.LinesOf(offset, Math.Max(1, instruction.Length));
            ulong next = builder.Append(instruction, infoFactory);
            if (next == BlockBuilder.Ends)
            {
                break;
            }

            at = next;
        }

        builder.Finish(at);
        if (vcpu.Code.Add(block))
        {
            vcpu.Tlb.WithholdWrites(new Hva(block->Frame));
            if (block->SecondFrame != Block.NoFrame)
            {
                vcpu.Tlb.WithholdWrites(new Hva(block->SecondFrame));
            }
        }

        return block;
    }

    private bool DecodeAcross(Block* block, byte* first, int available, ulong at, out Instruction instruction)
    {
        ulong nextPage = at + (ulong)available;
        byte* second = vcpu.Memory.Translate(nextPage, AccessKind.Execute);
        if (second == null)
        {
            FetchFailed(nextPage);
            instruction = default;
            return false;
        }

        byte* bytes = stackalloc byte[MaxInstructionLength];
        Unsafe.CopyBlockUnaligned(bytes, first, (uint)available);
        Unsafe.CopyBlockUnaligned(bytes + available, second, (uint)(MaxInstructionLength - available));
        instruction = decoder.Decode(bytes, MaxInstructionLength, at);
        block->SecondFrame = (ulong)second;
        return true;
    }
}
