using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Decodes one instruction at a time with Iced, for the processor and for the hypervisor.</summary>
internal sealed unsafe class InstructionDecoder
{
    private readonly GuestCodeReader reader = new();
    private readonly Decoder?[] decoders = new Decoder?[3];
    private readonly Decoder?[] lenient = new Decoder?[3];

    /// <summary>Whether the last instruction is invalid for want of bytes.</summary>
    public bool NeedsMoreBytes { get; private set; }

    /// <summary>Decodes from a run of bytes, which need to stay only for the call.</summary>
    public Instruction Decode(byte* bytes, int length, ulong rip, BlockMode mode)
    {
        Decoder decoder = For(decoders, mode, DecoderOptions.None);
        reader.Reset(bytes, length);
        decoder.IP = rip;
        decoder.Decode(out Instruction instruction);
        NeedsMoreBytes = decoder.LastError == DecoderError.NoMoreBytes;
        Instruction decoded = decoder.LastError == DecoderError.InvalidInstruction ? WithForbiddenLock(bytes, length, rip, mode, instruction) : instruction;
        reader.Reset(null, 0);
        return decoded;
    }

    /// <summary>Iced takes a forbidden LOCK for no instruction at all: decoded without its checks, the binder can say what is wrong.</summary>
    private Instruction WithForbiddenLock(byte* bytes, int length, ulong rip, BlockMode mode, in Instruction invalid)
    {
        Decoder decoder = For(lenient, mode, DecoderOptions.NoInvalidCheck);
        reader.Reset(bytes, length);
        decoder.IP = rip;
        decoder.Decode(out Instruction instruction);
        return !instruction.IsInvalid && instruction.HasLockPrefix && !OperandLayout.TakesLock(instruction) ? instruction : invalid;
    }

    private Decoder For(Decoder?[] kept, BlockMode mode, DecoderOptions options)
    {
        int width = (mode & BlockMode.Code16) != 0 ? 0 : (mode & BlockMode.Code32) != 0 ? 1 : 2;
        return kept[width] ??= Decoder.Create(16 << width, reader, options);
    }
}
