using Iced.Intel;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Writes the operations of one block, one after the other.</summary>
internal unsafe struct BlockBuilder(Block* block, Block* nowhere, BlockMode mode, CpuFeatures features, ulong limit)
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

        bool fuses = !single && (mode & BlockMode.Checked) == 0;
        if (fuses && opCount > 0 && Fusion.TryFuse(ref ops[opCount - 1], previous, instruction, limit))
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
        BindKind kind = Bind(instruction, ref op);
        op.Flags |= instruction.FlowControl is FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return
            or FlowControl.Call or FlowControl.IndirectCall ? OpFlags.Branch : 0;
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

    private readonly BindKind Bind(in Instruction instruction, ref Op op) => (mode & BlockMode.Recorded) != 0
        ? PortSelector<RecordingPort>.Bind(instruction, ref op, mode, features)
        : PortSelector<ProcessorPort>.Bind(instruction, ref op, mode, features);

    private readonly void Seal(ref Op op)
    {
        op.Accesses = (byte)accesses;
        op.Toll = ((ulong)accesses << 32) - (ulong)block->Count;
    }

    private readonly bool IsLocalJump(in Instruction instruction) =>
        instruction.IsJmpShortOrNear
        && block->SecondFrame == Block.NoFrame
        && instruction.NearBranchTarget <= limit
        && ((instruction.NearBranchTarget + block->CodeBase) ^ (block->Rip + block->CodeBase)) >> PageSize.Shift4K == 0;

    /// <summary>The data accesses of an instruction that are counted.</summary>
    public static int AccessesOf(in Instruction instruction, InstructionInfoFactory infoFactory)
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
