using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>Puts one chosen operand into an instruction that is being built.</summary>
internal delegate void OperandSetter(ref Instruction instruction, int operand);

/// <summary>The register, memory and immediate operands sampled for each operand kind of an opcode.</summary>
internal static class OperandChoices
{
    private static readonly Register[] Registers64 =
    [
        Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RBP, Register.RSI, Register.RDI,
        Register.R8, Register.R9, Register.R12, Register.R13, Register.R15,
    ];

    private static readonly Register[] Registers8 =
    [
        Register.AL, Register.CL, Register.BL, Register.AH, Register.CH, Register.DH, Register.BH, Register.BPL, Register.SIL,
        Register.DIL, Register.R8L, Register.R13L, Register.R15L, Register.DL,
    ];

    private static readonly Register[] RegistersXmm =
        [Register.XMM0, Register.XMM1, Register.XMM2, Register.XMM7, Register.XMM8, Register.XMM12, Register.XMM13, Register.XMM15];

    private static readonly Register[] RegistersYmm = Array.ConvertAll(RegistersXmm, register => register - Register.XMM0 + Register.YMM0);

    private static readonly Register[] RegistersMm = [Register.MM0, Register.MM1, Register.MM3, Register.MM6, Register.MM7];

    private static readonly Register[] RegistersSt =
        [Register.ST0, Register.ST1, Register.ST2, Register.ST3, Register.ST4, Register.ST5, Register.ST6, Register.ST7];

    private static readonly OperandSetter[] MemoryShapes =
    [
        Memory(Register.RBX, Register.None, 1, 0, 0),
        Memory(Register.RBX, Register.None, 1, 0x10, 1),
        Memory(Register.R13, Register.None, 1, 0, 1),
        Memory(Register.R12, Register.None, 1, -0x30, 1),
        Memory(Register.RBX, Register.RCX, 1, 0x120, 8),
        Memory(Register.R9, Register.R14, 8, -0x140, 8),
        Memory(Register.RBP, Register.R12, 2, 0x20, 1),
        Memory(Register.RSI, Register.RBP, 4, 0x40, 8),
        Memory(Register.EBX, Register.R10D, 4, 0x50, 1),
    ];

    /// <summary>Choices for an operand, register and memory apart; either list may be empty.</summary>
    public static (OperandSetter[] Direct, OperandSetter[] Memory) For(OpCodeOperandKind kind, FormOptions options) => kind switch
    {
        OpCodeOperandKind.mem => ([], MemoryShapes),
        OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib64x => ([], VectorIndexShapes(Register.XMM0)),
        OpCodeOperandKind.mem_vsib32y or OpCodeOperandKind.mem_vsib64y => ([], VectorIndexShapes(Register.YMM0)),
        OpCodeOperandKind.mem_offs => ([], options.AbsoluteAddress is ulong address ? [Memory(Register.None, Register.None, 1, (long)address, 8)] : []),
        OpCodeOperandKind.r8_or_mem => (General(1, options), MemoryShapes),
        OpCodeOperandKind.r16_or_mem => (General(2, options), MemoryShapes),
        OpCodeOperandKind.r32_or_mem => (General(4, options), MemoryShapes),
        OpCodeOperandKind.r64_or_mem => (General(8, options), MemoryShapes),
        OpCodeOperandKind.xmm_or_mem => (Each(RegistersXmm), MemoryShapes),
        OpCodeOperandKind.ymm_or_mem => (Each(RegistersYmm), MemoryShapes),
        OpCodeOperandKind.mm_or_mem => (Each(RegistersMm), MemoryShapes),
        OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_opcode => (General(1, options), []),
        OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_rm or OpCodeOperandKind.r16_opcode => (General(2, options), []),
        OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_rm or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r32_vvvv => (General(4, options), []),
        OpCodeOperandKind.r64_reg or OpCodeOperandKind.r64_rm or OpCodeOperandKind.r64_opcode or OpCodeOperandKind.r64_vvvv => (General(8, options), []),
        OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.xmm_vvvv or OpCodeOperandKind.xmm_is4 => (Each(RegistersXmm), []),
        OpCodeOperandKind.ymm_reg or OpCodeOperandKind.ymm_rm or OpCodeOperandKind.ymm_vvvv or OpCodeOperandKind.ymm_is4 => (Each(RegistersYmm), []),
        OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm => (Each(RegistersMm), []),
        OpCodeOperandKind.st0 => (Each([Register.ST0]), []),
        OpCodeOperandKind.sti_opcode => (Each(RegistersSt), []),
        OpCodeOperandKind.al => (Each([Register.AL]), []),
        OpCodeOperandKind.cl => (Each([Register.CL]), []),
        OpCodeOperandKind.ax => (Each([Register.AX]), []),
        OpCodeOperandKind.eax => (Each([Register.EAX]), []),
        OpCodeOperandKind.rax => (Each([Register.RAX]), []),
        OpCodeOperandKind.imm8_const_1 => (Immediates(OpKind.Immediate8, [1]), []),
        OpCodeOperandKind.imm8 => (Immediates(OpKind.Immediate8, [0, 1, 7, 0x1F, 0x21, 0x3F, 0x41, 0x7F, 0x80, 0xE4, 0xFF]), []),
        OpCodeOperandKind.imm8sex16 => (Immediates(OpKind.Immediate8to16, SignExtended8), []),
        OpCodeOperandKind.imm8sex32 => (Immediates(OpKind.Immediate8to32, SignExtended8), []),
        OpCodeOperandKind.imm8sex64 => (Immediates(OpKind.Immediate8to64, SignExtended8), []),
        OpCodeOperandKind.imm16 => (Immediates(OpKind.Immediate16, [0, 1, 0x80, 0x7FFF, 0x8000, 0xFFFF, 0xA55A]), []),
        OpCodeOperandKind.imm32 => (Immediates(OpKind.Immediate32, [0, 1, 0x80, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xA55A_1234]), []),
        OpCodeOperandKind.imm32sex64 =>
            (Immediates(OpKind.Immediate32to64, [0, 1, 0x80, 0x8000, 0x7FFF_FFFF, int.MinValue, -1, -0x5AA5_1234]), []),
        OpCodeOperandKind.imm64 => (Immediates(OpKind.Immediate64, [0, 1, 0x8000_0000, 0xFFFF_FFFF, long.MaxValue, long.MinValue, -1, 0x0123_4567_89AB_CDEF]), []),
        OpCodeOperandKind.seg_rSI => ([], [Implicit(OpKind.MemorySegRSI), Implicit(OpKind.MemorySegESI)]),
        OpCodeOperandKind.es_rDI => ([], [Implicit(OpKind.MemoryESRDI), Implicit(OpKind.MemoryESEDI)]),
        OpCodeOperandKind.seg_rDI => ([], [Implicit(OpKind.MemorySegRDI), Implicit(OpKind.MemorySegEDI)]),
        OpCodeOperandKind.seg_rBX_al => ([], [Memory(Register.RBX, Register.AL, 1, 0, 0), Memory(Register.EBX, Register.AL, 1, 0, 0)]),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no choices for this operand kind"),
    };

    private static long[] SignExtended8 => [0, 1, 0x7F, -0x80, -1, 0x10, -0x10];

    private static OperandSetter[] VectorIndexShapes(Register first) =>
    [
        Memory(Register.RBX, first + 3, 1, 0, 0),
        Memory(Register.R13, first + 9, 8, 0x10, 1),
        Memory(Register.RCX, first + 14, 2, -0x140, 8),
        Memory(Register.R12, first + 4, 4, 0x120, 8),
        Memory(Register.RBP, first + 7, 8, 0, 1),
        Memory(Register.EBX, first + 12, 4, -0x30, 1),
        Memory(Register.RSI, first + 1, 2, 0x40, 1),
    ];

    private static OperandSetter[] General(int size, FormOptions options)
    {
        Register[] registers = size == 1 ? Registers8 : Registers64;
        Register stackPointer = size == 1 ? Register.SPL : Register.RSP;
        Register first = size switch { 1 or 8 => Register.RAX, 4 => Register.EAX, _ => Register.AX };
        IEnumerable<Register> all = options.StackPointer ? registers.Append(stackPointer) : registers;
        return Each(size == 1 ? [.. all] : [.. all.Select(register => register - Register.RAX + first)]);
    }

    private static OperandSetter[] Each(Register[] registers) => Array.ConvertAll<Register, OperandSetter>(
        registers, register => (ref instruction, operand) => instruction.SetOpRegister(operand, register));

    private static OperandSetter[] Immediates(OpKind kind, long[] values) => Array.ConvertAll<long, OperandSetter>(
        values, value => (ref instruction, operand) =>
        {
            instruction.SetOpKind(operand, operand == 1 && instruction.Op0Kind == OpKind.Immediate16 ? OpKind.Immediate8_2nd : kind);
            instruction.SetImmediate(operand, value);
        });

    private static OperandSetter Implicit(OpKind kind) => (ref instruction, operand) => instruction.SetOpKind(operand, kind);

    private static OperandSetter Memory(Register @base, Register index, int scale, long displacement, int displacementSize) =>
        (ref instruction, operand) =>
        {
            instruction.SetOpKind(operand, OpKind.Memory);
            instruction.MemoryBase = @base;
            instruction.MemoryIndex = index;
            instruction.MemoryIndexScale = scale;
            instruction.MemoryDisplacement64 = (ulong)displacement;
            instruction.MemoryDisplSize = displacementSize;
        };
}
