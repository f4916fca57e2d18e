using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Decodes one instruction at a time with Iced, for the processor and for the hypervisor.</summary>
internal sealed unsafe class InstructionDecoder
{
    private readonly GuestCodeReader reader = new();
    private Decoder? decoder;
    private Decoder? lenient;

    /// <summary>Whether the last instruction is invalid for want of bytes.</summary>
    public bool NeedsMoreBytes { get; private set; }

    /// <summary>Decodes from a run of bytes, which need to stay only for the call.</summary>
    public Instruction Decode(byte* bytes, int length, ulong rip)
    {
        decoder ??= Decoder.Create(64, reader);
        reader.Reset(bytes, length);
        decoder.IP = rip;
        decoder.Decode(out Instruction instruction);
        NeedsMoreBytes = decoder.LastError == DecoderError.NoMoreBytes;
        Instruction decoded = decoder.LastError == DecoderError.InvalidInstruction ? WithForbiddenLock(bytes, length, rip, instruction) : instruction;
        reader.Reset(null, 0);
        return decoded;
    }

    /// <summary>Iced takes a forbidden LOCK for no instruction at all: decoded without its checks, the binder can say what is wrong.</summary>
    private Instruction WithForbiddenLock(byte* bytes, int length, ulong rip, in Instruction invalid)
    {
        lenient ??= Decoder.Create(64, reader, DecoderOptions.NoInvalidCheck);
        reader.Reset(bytes, length);
        lenient.IP = rip;
        lenient.Decode(out Instruction instruction);
        return !instruction.IsInvalid && instruction.HasLockPrefix && !OperandLayout.TakesLock(instruction) ? instruction : invalid;
    }
}
