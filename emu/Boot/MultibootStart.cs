namespace Quadwalk.Emulation;

/// <summary>Puts the bootstrap processor at the entry of a multiboot image.</summary>
public static class MultibootStart
{
    /// <summary>Takes up the state of an entry; the other processors wait for their start-up requests.</summary>
    public static void Enter(Machine machine, MultibootEntry entry)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(entry);
        Vcpu cpu = machine.Cpu;
        cpu.Reset();
        ref CpuState state = ref cpu.State;
        state.Gpr[GeneralRegister.Rax] = MultibootEntry.Eax;
        state.Gpr[GeneralRegister.Rbx] = entry.Ebx;
        state.Rip = entry.Eip;
        state.Cr0 = MultibootEntry.Cr0;
        for (int i = 0; i < 6; i++)
        {
            state.Segments[i] = i == SegmentIndex.Cs ? MultibootEntry.Code : MultibootEntry.Data;
        }

        foreach (Vcpu each in machine.Cpus)
        {
            FirmwareMemoryTypes.Set(each, machine.Options.RamBytes);
        }

        cpu.Rflags = MultibootEntry.Rflags;
        cpu.FlushTlb();
    }
}
