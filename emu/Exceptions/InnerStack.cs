namespace Quadwalk.Emulation;

/// <summary>The stack of a more privileged ring, as call gates and exceptions find it in the TSS outside IA-32e mode (SDM Vol. 3A, 6.8.5).</summary>
internal static unsafe class InnerStack
{
    /// <summary>Finds and checks SS and ESP of a ring; false with #TS, #SS or a page fault recorded.</summary>
    public static bool TryFind(Vcpu vcpu, int cpl, uint external, out SegmentRegister stack, out ulong pointer)
    {
        ref CpuState cpu = ref vcpu.State;
        stack = default;
        pointer = 0;
        bool wide = TaskState.Is32Bit(cpu.Tr);
        uint offset = wide ? 4u + (8u * (uint)cpl) : 2u + (4u * (uint)cpl);
        uint width = wide ? 4u : 2u;
        if ((cpu.Tr.Attributes & DescriptorBits.Present) == 0 || offset + width + sizeof(ushort) - 1 > cpu.Tr.Limit)
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, ErrorCodes.Of(cpu.Tr.Selector) | external, FaultRule.TssLimit);
        }

        ulong address = cpu.Tr.Base + offset;
        uint esp = 0;
        ushort narrow = 0;
        bool read = wide ? SystemMemory.Read(vcpu, address, out esp) : SystemMemory.Read(vcpu, address, out narrow);
        if (!read || !SystemMemory.Read(vcpu, address + width, out ushort selector))
        {
            return ExceptionFrame.InStructure(vcpu, address, external);
        }

        pointer = wide ? esp : narrow;
        return TryLoad(vcpu, selector, cpl, external, out stack);
    }

    /// <summary>Checks a stack segment that a TSS names; false with #TS or #SS recorded.</summary>
    public static bool TryLoad(Vcpu vcpu, ushort selector, int cpl, uint external, out SegmentRegister stack)
    {
        stack = default;
        uint error = ErrorCodes.Of(selector) | external;
        if (DescriptorTables.IsNull(selector) || !DescriptorTables.TryLocate(ref vcpu.State, selector, sizeof(ulong), out ulong address))
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, error, DescriptorTables.IsNull(selector) ? FaultRule.NullSelector : FaultRule.SelectorOutsideTable);
        }

        if (!SystemMemory.Read(vcpu, address, out ulong raw))
        {
            return ExceptionFrame.InStructure(vcpu, address, external);
        }

        SegmentDescriptor descriptor = new(raw, address);
        if ((selector & 3) != cpl || descriptor.Dpl != cpl || !descriptor.IsWritableData)
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, error, descriptor.IsWritableData ? FaultRule.DescriptorPrivilege : FaultRule.DescriptorType);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.StackFault, error, FaultRule.DescriptorNotPresent);
        }

        return DescriptorTables.TryLoad(vcpu, descriptor, selector, out stack) || ExceptionFrame.InStructure(vcpu, address, external);
    }

    /// <summary>Whether each word of a frame would lie within the stack segment; false with #SS recorded. SP wraps between words, not within one.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="stack">The stack segment.</param>
    /// <param name="pointer">The stack pointer.</param>
    /// <param name="length">The frame's bytes.</param>
    /// <param name="wide">Whether a word has 4 bytes rather than 2.</param>
    /// <param name="error">The error code of #SS.</param>
    public static bool HasRoom(Vcpu vcpu, in SegmentRegister stack, ulong pointer, int length, bool wide, uint error)
    {
        int word = wide ? sizeof(uint) : sizeof(ushort);
        for (int below = word; below <= length; below += word)
        {
            uint offset = Offset(stack, pointer - (ulong)below);
            if (!SegmentedAddress.Contains(stack, offset, word))
            {
                return vcpu.Raise(ExceptionVector.StackFault, error, FaultRule.SegmentLimit, offset);
            }
        }

        return true;
    }

    /// <summary>Writes a frame for which there is room below a stack pointer; false with a page fault recorded.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="stack">The stack segment.</param>
    /// <param name="pointer">The stack pointer; on success that of the frame.</param>
    /// <param name="frame">The bytes, from the lowest address.</param>
    /// <param name="cpl">The privilege with which they are written.</param>
    /// <param name="external">EXT, for error codes.</param>
    public static bool TryPush(Vcpu vcpu, in SegmentRegister stack, ref ulong pointer, ReadOnlySpan<byte> frame, int cpl, uint external)
    {
        uint start = Offset(stack, pointer - (ulong)frame.Length);
        int beforeWrap = (int)Math.Min((uint)frame.Length, Is32Bit(stack) ? uint.MaxValue : 0x1_0000 - start);
        if (!TryWrite(vcpu, stack, 0, frame[beforeWrap..], cpl, external) || !TryWrite(vcpu, stack, start, frame[..beforeWrap], cpl, external))
        {
            return false;
        }

        pointer = Is32Bit(stack) ? start : (pointer & ~(ulong)ushort.MaxValue) | start;
        return true;
    }

    /// <summary>Adds a value of 2 or 4 bytes to a frame that is written from its highest address down.</summary>
    public static void Add(Span<byte> frame, ref int at, bool wide, ulong value)
    {
        if (wide)
        {
            at -= sizeof(uint);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(frame[at..], (uint)value);
            return;
        }

        at -= sizeof(ushort);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(frame[at..], (ushort)value);
    }

    private static bool TryWrite(Vcpu vcpu, in SegmentRegister stack, uint offset, ReadOnlySpan<byte> part, int cpl, uint external)
    {
        if (part.IsEmpty)
        {
            return true;
        }

        ulong linear = (uint)(stack.Base + offset);
        fixed (byte* bytes = part)
        {
            return SystemMemory.WriteFrame(vcpu, linear, bytes, part.Length, cpl) || ExceptionFrame.InStructure(vcpu, linear, external);
        }
    }

    private static uint Offset(in SegmentRegister stack, ulong pointer) => Is32Bit(stack) ? (uint)pointer : (ushort)pointer;

    private static bool Is32Bit(in SegmentRegister stack) => (stack.Attributes & DescriptorBits.Default32) != 0;
}
