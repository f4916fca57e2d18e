namespace Quadwalk.Emulation;

/// <summary>The GDT and the LDT as the processor reads them.</summary>
internal static class DescriptorTables
{
    private const int Accessed = 1;
    private const int AccessByte = 5;

    /// <summary>Whether a selector names no segment.</summary>
    public static bool IsNull(ushort selector) => (selector & 0xFFFC) == 0;

    /// <summary>Reads the descriptor that a selector names; false with a fault, or an exit for MMIO, recorded.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="selector">A selector that is not null.</param>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="external">EXT, for error codes.</param>
    /// <param name="size">8, or 16 where the whole of a system descriptor must lie within the table.</param>
    public static bool TryRead(Vcpu vcpu, ushort selector, out SegmentDescriptor descriptor, uint external = 0, int size = 8)
    {
        descriptor = default;
        if (!TryLocate(ref vcpu.State, selector, size, out ulong address))
        {
            return vcpu.RaiseGP(FaultRule.SelectorOutsideTable, ErrorCodes.Of(selector) | external);
        }

        if (!SystemMemory.Read(vcpu, address, out ulong raw))
        {
            return false;
        }

        descriptor = new SegmentDescriptor(raw, address);
        return true;
    }

    /// <summary>Where a selector's descriptor stands; false when it is beyond the table.</summary>
    public static bool TryLocate(ref CpuState cpu, ushort selector, int size, out ulong address)
    {
        uint offset = selector & 0xFFF8u;
        bool local = (selector & 4) != 0;
        uint limit = local ? cpu.Ldtr.Limit : cpu.Gdtr.Limit;
        address = (local ? cpu.Ldtr.Base : cpu.Gdtr.Base) + offset;
        bool exists = !local || (cpu.Ldtr.Attributes & DescriptorBits.Present) != 0;
        return exists && offset + (uint)size - 1 <= limit;
    }

    /// <summary>Sets A of a code or data descriptor where it is 0, and answers the descriptor's register with A set.</summary>
    public static bool TryLoad(Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector, out SegmentRegister register)
    {
        register = descriptor.ToRegister(selector);
        if ((register.Attributes & DescriptorBits.Accessed) != 0)
        {
            return true;
        }

        register.Attributes |= DescriptorBits.Accessed;
        return SystemMemory.Write(vcpu, descriptor.Address + AccessByte, (byte)((register.Attributes >> 8) | Accessed));
    }

    /// <summary>
    /// After a failed access of an instruction to a descriptor or a TSS: where no memory is there, the machine stops, since no device
    /// can be asked for one.
    /// </summary>
    public static BlockExit Refused(Vcpu vcpu)
    {
        if (vcpu.PendingExit == BlockExit.Mmio)
        {
            vcpu.StopUnsupported("a descriptor table or a TSS lies where no memory is");
        }

        return vcpu.PendingExit;
    }
}
