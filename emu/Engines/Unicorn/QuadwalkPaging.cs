using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using Unicorn.Net;
using UnicornTlbEntry = Unicorn.Net.TlbEntry;

namespace Quadwalk.Emulation;

/// <summary>
/// Gives a Unicorn instance of the caller's own the paging, the RAM and the MMIO devices of a <see cref="Machine"/>: its addresses are translated by walks of the
/// machine's page tables, a fault comes back as a value with its cause, and an instruction that touches a device is emulated as a hypervisor
/// emulates it.
/// </summary>
/// <remarks>
/// The instance runs 64-bit code under the control registers and the privilege of the machine's processor; its general registers, flags, XMM registers and
/// the bases of FS and GS are its own. What else it executes is as Unicorn has it. One thread at a time.
/// </remarks>
public sealed unsafe class QuadwalkPaging : IDisposable
{
    private const uint AllVectors = 0xffff;

    private readonly UnicornEngine engine;
    private readonly Machine machine;
    private readonly UnicornRegisters registers;
    private readonly Hook hook;
    private bool refused;
    private bool faulted;

    private QuadwalkPaging(UnicornEngine engine, Machine machine)
    {
        this.engine = engine;
        this.machine = machine;
        registers = new UnicornRegisters(machine.Cpu, engine);
        foreach (Memslot slot in machine.Slots.All)
        {
            engine.MapPointer(slot.Base.Value, (nuint)slot.Size, MemoryPermissions.All, (nint)slot.Host.Value);
        }

        engine.SetTlbType(TlbType.Virtual);
        hook = engine.AddHook(HookKinds.TlbFill, new Filler(this));
        registers.Send();
    }

    /// <summary>How many instructions touched a device, or were executed by the machine's interpreter for another reason.</summary>
    public ulong Emulated { get; private set; }

    /// <summary>Attaches a machine to an instance, and gives the instance the registers of the machine's processor.</summary>
    /// <param name="engine">An x86 instance in 64-bit mode, without memory where the machine has RAM. It does not outlive the machine.</param>
    /// <param name="machine">A bare machine on the interpreter, with page tables: one that an image was loaded into, say. Its memslots stay as they are.</param>
    /// <exception cref="ArgumentException">The machine is of another kind.</exception>
    /// <exception cref="UnicornException">The instance refuses, as it does where it has memory.</exception>
    public static QuadwalkPaging Attach(UnicornEngine engine, Machine machine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        ArgumentNullException.ThrowIfNull(machine);
        return machine.Options is { Kind: MachineKind.Bare, Engine: EngineKind.Interpreter, Tlb: TlbMode.Fast }
            ? new QuadwalkPaging(engine, machine)
            : throw new ArgumentException("a bare machine on the interpreter, with the fast TLB, is needed", nameof(machine));
    }

    /// <summary>Runs the instance until it comes to an address, faults or stops of itself.</summary>
    /// <param name="begin">Where to begin.</param>
    /// <param name="until">Where to stop before executing.</param>
    /// <exception cref="UnicornException">An engine call failed that is not the guest's doing.</exception>
    public PagingStop Start(ulong begin, ulong until)
    {
        ulong rip = begin;
        while (rip != until)
        {
            refused = false;
            faulted = false;
            UnicornError error = engine.TryStart(rip, until);
            rip = engine.ReadRegister(X86Register.Rip);
            if (error == UnicornError.Ok || !refused)
            {
                return new PagingStop(error, null, null, new Gva(rip));
            }

            if (faulted)
            {
                return Faulted(machine.Cpu.PendingFault, rip);
            }

            if (!TryEmulate())
            {
                return Faulted(machine.Cpu.PendingFault, rip);
            }

            rip = machine.Cpu.State.Rip;
        }

        return new PagingStop(UnicornError.Ok, null, null, new Gva(rip));
    }

    /// <summary>To be called after the machine's page tables, control registers or privilege have been changed: drops every translation.</summary>
    public void Flush()
    {
        machine.Cpu.FlushTlb();
        engine.FlushTlb();
    }

    /// <summary>Takes the hook out; the memory stays mapped.</summary>
    public void Dispose() => hook.Dispose();

    private PagingStop Faulted(GuestFault fault, ulong rip) =>
        new(UnicornError.Exception, fault, FaultCauseText.Describe(fault, machine.Cpu.Paging), new Gva(rip));

    /// <summary>Executes the instruction at the instance's RIP on the machine's interpreter, devices and all; false where it faults.</summary>
    private bool TryEmulate()
    {
        Vcpu vcpu = machine.Cpu;
        registers.Receive(AllVectors);
        ulong retired = vcpu.Counters.Instructions;
        ulong decoded = vcpu.Counters.BlocksDecoded;
        ulong exceptions = vcpu.Counters.Exceptions;
        machine.RunInterpreted(1);
        if (vcpu.Counters.Instructions == retired || vcpu.Counters.Exceptions != exceptions)
        {
            return false;
        }

        Emulated++;
        if (vcpu.Counters.BlocksDecoded != decoded)
        {
            engine.FlushTlb();
        }

        registers.Send();
        return true;
    }

    private bool Fill(ulong address, MemoryAccessType type, out UnicornTlbEntry entry)
    {
        AccessKind kind = type switch
        {
            MemoryAccessType.Read => AccessKind.Read,
            MemoryAccessType.Write => AccessKind.Write,
            _ => AccessKind.Execute,
        };
        bool resolved = machine.Cpu.Memory.TryResolve(address, kind, out ResolvedPage page);
        bool fills = resolved && page.Keeps && (kind != AccessKind.Write || page.Writable);
        if (!fills && !refused)
        {
            refused = true;
            faulted = !resolved && machine.Cpu.PendingExit == BlockExit.Fault;
        }

        MemoryPermissions rights = (page.Readable ? MemoryPermissions.Read : 0) | (page.Writable ? MemoryPermissions.Write : 0)
            | (kind == AccessKind.Execute ? MemoryPermissions.Execute : 0);
        entry = new UnicornTlbEntry(page.Gpa.Value & ~PageSize.Mask4K, rights);
        return fills;
    }

    private sealed class Filler(QuadwalkPaging paging) : HookHandler
    {
        public override bool OnTlbFill(UnicornEngine engine, ulong address, MemoryAccessType type, out UnicornTlbEntry entry) =>
            paging.Fill(address, type, out entry);
    }
}
