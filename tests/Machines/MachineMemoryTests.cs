using System.Runtime.InteropServices;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>A guest's accesses through the machine's own second stage.</summary>
[TestFixture]
internal sealed class MachineMemoryTests
{
    private const ulong Slot = 0x4000_0000, Device = 0x8000_0000;

    private readonly HostMemory other = HostMemory.Create(0x4000);

    [OneTimeTearDown]
    public void FreeMemory() => other.Dispose();

    /// <summary>All the guest uses lies in the first 2 MiB, so that one violation serves for all of it; each MMIO access is another.</summary>
    [Test]
    public void CountersAreExactForASmallGuest()
    {
        using TestMachine machine = new();
        MapDevice(machine, 3);
        machine.Kernel(c =>
        {
            c.mov(rbx, TestMachine.Data);
            c.mov(__qword_ptr[rbx], rax);
            c.push(rax);
        });
        (ulong Violations, ulong Installs, ulong Zaps) counts = CountsOf(machine);
        Assert.That(counts, Is.EqualTo((1, 1, 0)));
        machine.Kernel(c =>
        {
            c.mov(rbx, Slot);
            c.mov(eax, __[rbx]);
            c.mov(__[rbx + 0x2000], eax);
        });
        Assert.That(CountsOf(machine), Is.EqualTo((3, 1, 0)));
        Assert.That(machine.Cpu.Counters.MmioExits, Is.EqualTo(2));
        machine.Machine.Slots.Remove(0);
        Assert.That(CountsOf(machine), Is.EqualTo((3, 1, 1)));
    }

    /// <summary>A device takes memory away, puts other memory there and makes it read-only, between two instructions of a run.</summary>
    [Test]
    public void AChangeIsSeenByTheNextInstruction([Values(TlbMode.Fast, TlbMode.Exact)] TlbMode tlb)
    {
        using TestMachine machine = new(tlb: tlb);
        MapDevice(machine, 1);
        machine.PageTables.Map(new Gva(Device), new Gpa(Device), 0x1000, PageRights.Write);
        other.Span(0, 8).Fill(0x11);
        other.Span(0x1000, 8).Fill(0x22);
        Memslot slot = machine.Machine.Slots.Add(new Gpa(Slot), 0x1000, other.Base);
        machine.Machine.Mmio.Attach(new Gpa(Device), new Switch(value =>
        {
            switch (value)
            {
                case 1:
                    machine.Machine.Slots.Remove(slot.Id);
                    break;
                case 2:
                    slot = machine.Machine.Slots.Add(new Gpa(Slot), 0x1000, other.Base + 0x1000);
                    break;
                default:
                    slot = machine.Machine.Slots.SetFlags(slot.Id, MemslotFlags.ReadOnly);
                    break;
            }
        }));
        machine.Kernel(c =>
        {
            c.mov(rbx, Slot);
            c.mov(rdx, Device);
            c.mov(r8, __[rbx]);
            c.mov(__dword_ptr[rdx], 1);
            c.mov(r9, __[rbx]);
            c.mov(__dword_ptr[rdx], 2);
            c.mov(r10, __[rbx]);
            c.mov(__byte_ptr[rbx], 0x33);
            c.mov(__dword_ptr[rdx], 3);
            c.mov(__byte_ptr[rbx + 1], 0x44);
            c.mov(r11, __[rbx]);
        });
        ulong[] read = [.. Enumerable.Range(8, 4).Select(i => machine.State.Gpr[i])];
        Assert.That(read, Is.EqualTo(new[] { 0x1111_1111_1111_1111ul, ulong.MaxValue, 0x2222_2222_2222_2222ul, 0x2222_2222_2222_2233ul }));
    }

    [Test]
    public void EveryProcessorSeesAChangeAtOnce()
    {
        using Machine machine = new(new MachineOptions { RamBytes = 8 << 20, Kind = MachineKind.Pc, Processors = 4 });
        MemoryMarshal.Write(other.Span(0, 8), 0x1111ul);
        MemoryMarshal.Write(other.Span(0x1000, 8), 0x2222ul);
        Memslot slot = machine.Slots.Add(new Gpa(Slot), 0x1000, other.Base);
        Assert.That(machine.Cpus.Select(Read), Is.All.EqualTo(0x1111));
        Assert.That(machine.SecondStage.Violations, Is.EqualTo(1), "the table is shared");
        machine.Slots.Remove(slot.Id);
        Assert.That(machine.Cpus.Select(Read), Is.All.Null);
        slot = machine.Slots.Add(new Gpa(Slot), 0x1000, other.Base + 0x1000);
        Assert.That(machine.Cpus.Select(Read), Is.All.EqualTo(0x2222));
        _ = machine.Slots.SetFlags(slot.Id, MemslotFlags.ReadOnly);
        foreach (Vcpu cpu in machine.Cpus)
        {
            Assert.That(cpu.Memory.Tables.TryCompareExchange(new Gpa(Slot), 0x2222, 1, out bool exchanged) && exchanged, "a lost store looks made");
        }

        Assert.That(machine.Cpus.Select(Read), Is.All.EqualTo(0x2222));

        static ulong? Read(Vcpu cpu) => cpu.Memory.Tables.TryRead(new Gpa(Slot), out ulong value) ? value : null;
    }

    /// <summary>The processor's walk and the hypervisor's agree on tables in a read-only slot: flags that cannot be set are lost, as on a bus.</summary>
    [Test]
    public void TablesInReadOnlyMemoryTranslateWithoutTheirFlags()
    {
        using TestMachine machine = new();
        machine.Place(TestMachine.KernelCode, c => c.mov(rax, __[TestMachine.Data]), halt: true);
        machine[TestMachine.Data] = 0x1234;
        Memslot ram = machine.Machine.Slots.All[0];
        machine.Machine.Slots.Remove(ram.Id);
        machine.Machine.Slots.Add(ram.Base, 0x10_0000, ram.Host);
        machine.Machine.Slots.Add(ram.Base + 0x10_0000, ram.Size - 0x10_0000, ram.Host + 0x10_0000, MemslotFlags.ReadOnly);
        ulong root = machine[machine.PageTables.Cr3];
        machine.State.Rip = TestMachine.KernelCode;
        Assert.That(machine.Machine.Run(100).Reason, Is.EqualTo(StopReason.Halted));
        Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.EqualTo(0x1234));
        Assert.That((root & PageTableEntry.ABit, machine[machine.PageTables.Cr3]), Is.EqualTo((0, root)));
    }

    /// <summary>Four entries of the guest, each with three of EPT with 2 MiB pages before it, and three for the page: with 4 KiB pages four each.</summary>
    [TestCase(0ul, 19)]
    [TestCase(0x1000ul, 24)]
    public void AWalkOfBothStagesIsWhole(ulong shift, int entries)
    {
        using TestMachine machine = new();
        Memslot ram = machine.Machine.Slots.All[0];
        machine.Machine.Slots.Remove(ram.Id);
        machine.Machine.Slots.Add(ram.Base, ram.Size - shift, ram.Host);
        if (shift != 0)
        {
            // An odd piece in front leaves no page of 2 MiB its alignment.
            machine.Machine.Slots.Remove(machine.Machine.Slots.All[0].Id);
            machine.Machine.Slots.Add(ram.Base, 0x10_0000, ram.Host);
            machine.Machine.Slots.Add(ram.Base + 0x10_0000, ram.Size - 0x10_0000, ram.Host + 0x10_0000);
        }

        NestedWalkTrace trace = new();
        ulong root = machine[machine.PageTables.Cr3];
        NestedWalkResult result = machine.Machine.SecondStage.Walk(
            machine.Cpu.Paging, new Gva(TestMachine.Data + 5), new WalkAccess(AccessKind.Write, User: false), trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Succeeded);
            Assert.That(result.Gpa.Value, Is.EqualTo(TestMachine.Data + 5));
            Assert.That(trace.Steps, Has.Count.EqualTo(entries));
            Assert.That(trace.Steps.Count(step => step.IsGuest), Is.EqualTo(4));
            Assert.That(machine[machine.PageTables.Cr3], Is.EqualTo(root), "nothing was marked");
            Assert.That(trace.Steps.First(step => step.IsGuest).After & PageTableEntry.ABit, Is.Not.Zero);
            Assert.That(machine.Machine.SecondStage.Frames.TryTranslate(result.Hpa, out Hva host));
            Assert.That(host.Value, Is.EqualTo(ram.Host.Value + TestMachine.Data + 5));
        }
    }

    private static void MapDevice(TestMachine machine, ulong pages) =>
        machine.PageTables.Map(new Gva(Slot), new Gpa(Slot), pages * 0x1000, PageRights.Write);

    private static (ulong Violations, ulong Installs, ulong Zaps) CountsOf(TestMachine machine)
    {
        MachineSecondStage stage = machine.Machine.SecondStage;
        return (stage.Violations, stage.Installs, stage.Zaps);
    }

    private sealed class Switch(Action<int> written) : IMmioDevice
    {
        public ulong Size => 4;

        public void Read(ulong offset, Span<byte> value) => value.Clear();

        public void Write(ulong offset, ReadOnlySpan<byte> value) => written(MemoryMarshal.Read<int>(value));
    }
}
