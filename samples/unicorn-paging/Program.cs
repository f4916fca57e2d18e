// A Unicorn instance of one's own with the page tables and devices of a Quadwalk machine: real walks, faults with causes, MMIO.
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Unicorn.Net;
using static Iced.Intel.AssemblerRegisters;

UnicornLibrary.Load(args is [string path] ? path : null);
const ulong Code = 0x10_0000, Nowhere = 0x7000_0000;
ulong device = (BootAddresses.DirectMap + PhysicalLayout.Scratch.Value).Value;

Assembler code = new(64);
code.mov(rbx, device);
code.mov(rax, 0x1122_3344_5566_7788UL);
code.mov(__qword_ptr[rbx + 8], rax);
code.mov(ecx, __dword_ptr[rbx + 10]);
code.mov(rdx, Nowhere);
code.mov(__qword_ptr[rdx], rcx);
using MemoryStream bytes = new();
code.Assemble(new StreamCodeWriter(bytes), Code);

using Machine machine = new(new MachineOptions { RamBytes = 16 << 20 });
ImageLoader.Load(machine, FlatImage.Create(bytes.ToArray(), new Gva(Code), machine.Options.RamBytes));
using UnicornEngine uc = new(UnicornArchitecture.X86, UnicornMode.Bits64);
using QuadwalkPaging paging = QuadwalkPaging.Attach(uc, machine);
PagingStop stop = paging.Start(Code, until: Code + (ulong)bytes.Length);

Console.WriteLine($"ecx = 0x{uc.ReadRegister(X86Register.Ecx):x}, by way of the device");
foreach (ScratchAccess access in machine.Scratch.CopyLog())
{
    Console.WriteLine($"  {(access.IsWrite ? "write" : "read")} of {access.Bytes.Length} bytes at 0x{access.Offset:x}: {Convert.ToHexString(access.Bytes.Span)}");
}

Console.WriteLine($"stopped at {stop.Rip}: vector {(int?)stop.Fault?.Vector}, error code {stop.Fault?.ErrorCode}, at {stop.Fault?.Address}");
Console.WriteLine($"  {stop.Cause}");
