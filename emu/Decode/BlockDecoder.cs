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

    /// <summary>No epoch: where the TLB is exact, each entry to a block looks at its translation again.</summary>
    private const ulong Unconfirmed = 0;

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

        ulong codeBase = 0;
        if ((cpu->Mode & (BlockMode.Code16 | BlockMode.Code32)) != 0)
        {
            ref SegmentRegister cs = ref cpu->Segments[SegmentIndex.Cs];
            if (rip > cs.Limit)
            {
                vcpu.RaiseGP(FaultRule.CodeLimit);
                return null;
            }

            codeBase = cs.Base;
        }

        ulong linear = (rip + codeBase) & vcpu.LinearMask;
        byte* host = vcpu.Memory.Translate(linear, AccessKind.Execute);
        if (host == null)
        {
            return FetchFailed(linear);
        }

        ulong frame = (ulong)host & ~PageSize.Mask4K;
        block = vcpu.Code.Find(rip, frame, cpu->Mode);
        if (block == null)
        {
            block = Decode(rip, codeBase, host, cpu->Mode);
        }
        else if (block->SecondFrame != Block.NoFrame)
        {
            ulong nextPage = ((linear | PageSize.Mask4K) + 1) & vcpu.LinearMask;
            byte* second = vcpu.Memory.Translate(nextPage, AccessKind.Execute);
            if (second == null)
            {
                return FetchFailed(nextPage);
            }

            if ((ulong)second != block->SecondFrame)
            {
                vcpu.Code.Written(block->Frame | (linear & PageSize.Mask4K), 1);
                block = Decode(rip, codeBase, host, cpu->Mode);
            }
        }

        if (block != null)
        {
            block->Epoch = vcpu.Tlb.Mode == TlbMode.Fast ? cpu->Epoch : Unconfirmed;
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

    private Block* Decode(ulong rip, ulong codeBase, byte* host, BlockMode mode)
    {
        vcpu.Counters.BlocksDecoded++;
        Block* block = vcpu.Code.Reserve(MaxInstructions + 1);
        *block = new Block { Rip = rip, CodeBase = codeBase, Frame = (ulong)host & ~PageSize.Mask4K, SecondFrame = Block.NoFrame, Mode = mode };
        ulong last = Is64Bit(mode) ? ulong.MaxValue : vcpu.State.Segments[SegmentIndex.Cs].Limit;
        BlockBuilder builder = new(block, vcpu.Code.Nowhere, mode, vcpu.Features, last);
        ulong pageStart = rip - ((ulong)host & PageSize.Mask4K);
        byte* page = (byte*)block->Frame;
        ulong at = rip;
        int limit = (mode & BlockMode.Single) != 0 ? 1 : MaxInstructions;
        while (block->Count < limit && at - pageStart < PageSize.Size4K && at <= last)
        {
            int offset = (int)(at - pageStart);
            int inPage = (int)PageSize.Size4K - offset;
            int allowed = last - at < MaxInstructionLength ? (int)(last - at) + 1 : MaxInstructionLength;
            Instruction instruction = decoder.Decode(page + offset, Math.Min(inPage, allowed), at, mode);
            if (instruction.IsInvalid && decoder.NeedsMoreBytes && Math.Min(inPage, allowed) < MaxInstructionLength)
            {
                if (block->Count != 0)
                {
                    break;
                }

                if (inPage >= allowed)
                {
                    vcpu.RaiseGP(FaultRule.CodeLimit);
                    return null;
                }

                if (!DecodeAcross(block, page + offset, inPage, allowed, at, out instruction))
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
            vcpu.Frames.WithholdWrites(new Hva(block->Frame));
            if (block->SecondFrame != Block.NoFrame)
            {
                vcpu.Frames.WithholdWrites(new Hva(block->SecondFrame));
            }
        }

        return block;
    }

    private bool DecodeAcross(Block* block, byte* first, int available, int allowed, ulong at, out Instruction instruction)
    {
        ulong nextPage = (at + block->CodeBase + (ulong)available) & vcpu.LinearMask;
        byte* second = vcpu.Memory.Translate(nextPage, AccessKind.Execute);
        instruction = default;
        if (second == null)
        {
            FetchFailed(nextPage);
            return false;
        }

        byte* bytes = stackalloc byte[MaxInstructionLength];
        Unsafe.CopyBlockUnaligned(bytes, first, (uint)available);
        Unsafe.CopyBlockUnaligned(bytes + available, second, (uint)(MaxInstructionLength - available));
        instruction = decoder.Decode(bytes, allowed, at, block->Mode);
        block->SecondFrame = (ulong)second;
        if (instruction.IsInvalid && decoder.NeedsMoreBytes && allowed < MaxInstructionLength)
        {
            return vcpu.RaiseGP(FaultRule.CodeLimit);
        }

        return true;
    }

    private static bool Is64Bit(BlockMode mode) => (mode & (BlockMode.Code16 | BlockMode.Code32)) == 0;
}
