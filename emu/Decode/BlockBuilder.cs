using Iced.Intel;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Writes the operations of one block, one after the other.</summary>
internal unsafe struct BlockBuilder(Block* block, Block* nowhere, BlockMode mode)
{
    /// <summary>What <see cref="Append"/> answers when the block is complete.</summary>
    public const ulong Ends = ulong.MaxValue;

    private readonly Op* ops = Block.Ops(block);
    private int opCount;
    private int accesses;
    private bool ended;
    private Instruction previous;

    /// <summary>Adds an instruction; answers where decoding goes on, or <see cref="Ends"/>.</summary>
    public ulong Append(in Instruction instruction, InstructionInfoFactory infoFactory)
    {
        bool single = (mode & (BlockMode.Single | BlockMode.Recorded)) != 0;
        if (!single && IsLocalJump(instruction))
        {
            previous = default;
            block->Count++;
            return instruction.NearBranchTarget;
        }

        if (!single && opCount > 0 && Fusion.TryFuse(ref ops[opCount - 1], previous, instruction))
        {
            previous = default;
            block->Count++;
            Seal(ref ops[opCount - 1]);
            return instruction.NextIP;
        }

        previous = instruction;
        ref Op op = ref ops[opCount];
        op = new Op
        {
            Rip = instruction.IP,
            Length = (byte)instruction.Length,
            Before = (byte)block->Count,
            Link = nowhere,
        };
        accesses += AccessesOf(instruction, infoFactory);
        BindKind kind = (mode & BlockMode.Recorded) != 0
            ? OpBinder<RecordingPort>.Bind(instruction, ref op, mode)
            : OpBinder<ProcessorPort>.Bind(instruction, ref op, mode);
        opCount++;
        block->Count++;
        Seal(ref op);
        ended = kind == BindKind.Ends;
        return ended ? Ends : instruction.NextIP;
    }

    /// <summary>Adds the last operation, which leads on to <paramref name="next"/> where the block does not end in a branch of its own.</summary>
    public void Finish(ulong next)
    {
        ref Op op = ref ops[opCount];
        Op* last = ops + opCount - 1;
        op = new Op
        {
            Rip = ended ? last->NextRip : next,
            Immediate = ended ? last->NextRip : next,
            Before = (byte)block->Count,
            Link = nowhere,
            Handler = &Terminate<BlockEnd, ProcessorPort>.Direct,
        };
        Seal(ref op);
        block->OpCount = opCount + 1;
    }

    private readonly void Seal(ref Op op)
    {
        op.Accesses = (byte)accesses;
        op.Toll = ((ulong)accesses << 32) - (ulong)block->Count;
    }

    private readonly bool IsLocalJump(in Instruction instruction) =>
        instruction.IsJmpShortOrNear
        && block->SecondFrame == Block.NoFrame
        && (instruction.NearBranchTarget ^ block->Rip) >> PageSize.Shift4K == 0;

    private static int AccessesOf(in Instruction instruction, InstructionInfoFactory infoFactory)
    {
        if (instruction.HasRepPrefix || instruction.HasRepnePrefix)
        {
            return 0;
        }

        int count = 0;
        foreach (UsedMemory memory in infoFactory.GetInfo(instruction, InstructionInfoOptions.NoRegisterUsage).GetUsedMemory())
        {
            count += memory.Access is OpAccess.None or OpAccess.NoMemAccess ? 0 : 1;
        }

        return Math.Min(count, 3);
    }
}
