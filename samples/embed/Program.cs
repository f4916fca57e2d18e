// The emulator in thirty lines: a few instructions at 1 MiB, run with paging on, and the registers they leave.
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

Assembler code = new(64);
Label again = code.CreateLabel();
code.mov(ecx, 20);
code.xor(eax, eax);
code.mov(edx, 1);
code.Label(ref again);
code.xadd(rax, rdx);
code.dec(ecx);
code.jnz(again);
code.hlt();
using MemoryStream bytes = new();
code.Assemble(new StreamCodeWriter(bytes), 0x10_0000);

using Machine machine = new(new MachineOptions());
FlatImage image = FlatImage.Create(bytes.ToArray(), new Gva(0x10_0000), machine.Options.RamBytes);
ImageLoader.Load(machine, image);
StopReport report = machine.Run(limit: 1_000_000);

Console.WriteLine($"stopped: {report.Reason}, after {machine.Cpu.Counters.Instructions} instructions");
Console.WriteLine($"rax = {machine.Cpu.State.Gpr[GeneralRegister.Rax]}, the 20th Fibonacci number");
Console.WriteLine($"page walks: {machine.Cpu.Counters.Walks}");
