using System.Text;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Programs and their exact traces.</summary>
[TestFixture]
public sealed class TracerTests
{
    [Test]
    public void Registers_flags_and_memory() => Golden(
        a =>
        {
            a.mov(eax, 5);
            a.sub(rax, 6);
            a.mov(__[rdi + 8], ax);
            a.add(__dword_ptr[rdi + 8], 1);
            a.push(rdi);
            a.nop();
            a.movq(xmm3, rax);
            a.movups(__[rdi], xmm3);
            a.mov(rcx, cr3);
            a.hlt();
        },
        new TracerOptions(),
        """
        0000000000401000: mov eax, 5                                    ; rax=0000000000000005
        0000000000401005: sub rax, 6                                    ; rax=ffffffffffffffff flags=----S-APC
        000000000040100b: mov [rdi+8], ax                               ; wr2 0x500008=ffff
        000000000040100f: add dword [rdi+8], 1                          ; flags=------AP- | rd4 0x500008=0000ffff | wr4 0x500008=00010000
        0000000000401013: push rdi                                      ; rsp=000000000050fff8 | wr8 0x50fff8=0000000000500000
        0000000000401014: nop
        0000000000401015: movq xmm3, rax                                ; xmm3=0000000000000000ffffffffffffffff
        000000000040101a: movups [rdi], xmm3                            ; wr16 0x500000=0000000000000000ffffffffffffffff
        000000000040101d: mov rcx, cr3                                  ; rcx=0000000000010000
        0000000000401020: hlt

        """);

    [Test]
    public void Control_registers_and_rare_flags() => Golden(
        a =>
        {
            a.mov(eax, 0x247_202);
            a.push(rax);
            a.popfq();
            a.mov(rax, cr0);
            a.btr(rax, 16);
            a.mov(cr0, rax);
            a.std();
            a.cli();
            a.hlt();
        },
        new TracerOptions(),
        """
        0000000000401000: mov eax, 0x247202                             ; rax=0000000000247202
        0000000000401005: push rax                                      ; rsp=000000000050fff8 | wr8 0x50fff8=0000000000247202
        0000000000401006: popf                                          ; rsp=0000000000510000 flags=--I------+NT+AC+ID+IOPL3 | rd8 0x50fff8=0000000000247202
        0000000000401007: mov rax, cr0                                  ; rax=0000000080010033
        000000000040100a: btr rax, 0x10                                 ; rax=0000000080000033 flags=--I-----C+NT+AC+ID+IOPL3
        000000000040100f: mov cr0, rax                                  ; cr0=0000000080000033
        0000000000401012: std                                           ; flags=-DI-----C+NT+AC+ID+IOPL3
        0000000000401013: cli                                           ; flags=-D------C+NT+AC+ID+IOPL3
        0000000000401014: hlt

        """);

    [Test]
    public void Symbols_and_bytes() => Golden(
        a =>
        {
            Label next = a.CreateLabel();
            a.call(next);
            a.db(new byte[13]);
            a.Label(ref next);
            a.lea(rax, __[0x401004]);
            a.hlt();
        },
        new TracerOptions { Symbols = TraceGuest.Symbols, Bytes = true },
        """
        0000000000401000 <start>: e80d000000                     call next+2                           ; rsp=000000000050fff8 | wr8 0x50fff8=0000000000401005
        0000000000401012 <next+0x2>: 488d042504104000               lea rax, [0x401004]                ; rax=0000000000401004
        000000000040101a <next+0xa>: f4                             hlt

        """);

    [Test]
    public void A_repeated_instruction_has_one_line_and_counts_what_it_cannot_list()
    {
        string line = TraceGuest.Trace(Fill(70), new TracerOptions { Skip = 1, Count = 1 });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(line, Does.StartWith("000000000040100a: rep stosb").And.EndWith(" | wr1 0x50003f=00 ... and 6 more\n"));
            Assert.That(line, Does.Contain("; rcx=0000000000000000 rdi=0000000000500046 | 70 accesses | wr1 0x500000=00 | wr1 0x500001=00"));
            Assert.That(line.Split("wr1"), Has.Length.EqualTo(65));
        }
    }

    [Test]
    public void A_cold_access_walks_four_levels_and_sets_A_and_D() => Golden(
        a =>
        {
            a.mov(__[rdi], al);
            a.mov(al, __[rdi + 1]);
            a.hlt();
        },
        new TracerOptions { Walks = true },
        """
        0000000000401000: mov [rdi], al                                 ; wr1 0x500000=00
          walk processor supervisor instruction fetch 0x401000
            PML4E 0x10000=0000000000011003 P RW, sets A
            PDPTE 0x11000=0000000000012003 P RW, sets A
            PDE 0x12010=0000000000013003 P RW, sets A
            PTE 0x13008=0000000000200001 P, sets A
            gives 0x200000 in a 4K page
          walk processor supervisor write 0x500000
            PML4E 0x10000=0000000000011023 P RW A
            PDPTE 0x11000=0000000000012023 P RW A
            PDE 0x12010=0000000000013023 P RW A
            PTE 0x13800=8000000000300003 P RW NX, sets A D
            gives 0x300000 in a 4K page
        0000000000401002: mov al, [rdi+1]                               ; rd1 0x500001=00
        0000000000401005: hlt

        """);

    [Test]
    public void An_exit_shows_the_walks_of_processor_and_hypervisor()
    {
        string trace = TraceGuest.Trace(StoreToUart, new TracerOptions { Walks = true, Skip = 1, Count = 1 });

        Assert.That(
            trace.Split('\n').Where(line => line.StartsWith("  walk", StringComparison.Ordinal)),
            Is.EqualTo(new[]
            {
                "  walk processor supervisor write 0xd0000007",
                "  walk hypervisor supervisor instruction fetch 0x401005",
                "  walk hypervisor supervisor write 0xd0000007",
            }));
    }

    [Test]
    public void Device_accesses_by_address_and_by_port() => Golden(
        a =>
        {
            StoreToUart(a);
            a.add(__dword_ptr[rbx + 0x10008], 0x1234);
            a.mov(ecx, 2);
            a.lea(rsi, __[rbx + 0x10008]);
            a.rep.movsb();
            a.mov(ax, 0x4241);
            a.mov(dx, 0x3fe);
            a.@out(dx, ax);
            a.@in(al, dx);
            a.@out(0x80, eax);
            a.hlt();
        },
        new TracerOptions { Devices = true },
        """
        0000000000401000: mov ebx, 0xd0000000                           ; rbx=00000000d0000000
        0000000000401005: mov byte [rbx+7], 0x41                        ; wr1 0xd0000007=41 | mmio
          mmio wr1 0xd0000007=41 Uart16550
        0000000000401009: add dword [rbx+0x10008], 0x1234               ; rd4 0xd0010008=00000000 | wr4 0xd0010008=00001234 | mmio
          mmio rd4 0xd0010008=00000000 ScratchRam
          mmio wr4 0xd0010008=00001234 ScratchRam
        0000000000401013: mov ecx, 2                                    ; rcx=0000000000000002
        0000000000401018: lea rsi, [rbx+0x10008]                        ; rsi=00000000d0010008
        000000000040101f: rep movsb                                     ; rcx=0000000000000000 rsi=00000000d001000a rdi=0000000000500002 | 4 accesses | rd1 0xd0010008=34 | wr1 0x500000=34 | rd1 0xd0010009=12 | wr1 0x500001=12 | mmio
          mmio rd1 0xd0010008=34 ScratchRam
          mmio rd1 0xd0010009=12 ScratchRam
        0000000000401021: mov ax, 0x4241                                ; rax=0000000000004241
        0000000000401025: mov dx, 0x3fe                                 ; rdx=00000000000003fe
        0000000000401029: out dx, ax
          port wr1 0x3fe=41 Uart16550
          port wr1 0x3ff=42 Uart16550
        000000000040102b: in al, dx                                     ; rax=00000000000042b0
          port rd1 0x3fe=b0 Uart16550
        000000000040102c: out 0x80, eax
          port wr4 0x80=000042b0 no device
        000000000040102e: hlt

        """);

    [Test]
    public void A_fault_with_its_cause_and_its_delivery() => Golden(
        FaultAndHandler,
        new TracerOptions { Exceptions = true, Symbols = TraceGuest.Symbols },
        """
        0000000000401000 <start>: mov byte [rdi+0x100000], 1            ; -> #PF(0x3) at 0x600000: PTE at 0x14000 = 0x8000000000320001: R/W is 0 and the access is a supervisor write with CR0.WP = 1
          delivered to 0x401010 <next>: rsp=000000000050ffd0 cr2=0000000000600000
        0000000000401010 <next>: hlt

        """,
        guest => guest.Handle(ExceptionVector.PageFault));

    [Test]
    public void A_fault_is_named_where_exceptions_are_not_asked_for() => Golden(
        FaultAndHandler,
        new TracerOptions { Symbols = TraceGuest.Symbols },
        """
        0000000000401000 <start>: mov byte [rdi+0x100000], 1            ; -> #PF
        0000000000401010 <next>: hlt

        """,
        guest => guest.Handle(ExceptionVector.PageFault));

    [Test]
    public void A_fetch_that_faults_and_a_shutdown() => Golden(
        a => a.jmp(rdi),
        new TracerOptions { Exceptions = true },
        """
        0000000000401000: jmp rdi
        0000000000500000: (no instruction)                              ; -> #PF(0x11) at 0x500000: PTE at 0x13800 = 0x8000000000300003: NX is 1 and the access is a supervisor instruction fetch with IA32_EFER.NXE = 1
          met #GP(0x73): vector 14: the vector's gate lies beyond IDTR.limit
          met #DF(0x0): an exception could not be delivered because of another
          met #GP(0x43): vector 8: the vector's gate lies beyond IDTR.limit
          shutdown: triple fault

        """);

    [Test]
    public void The_console_in_the_trace_stands_after_the_instruction_that_ends_a_line()
    {
        var output = new MemoryStream();
        using var console = new TraceConsoleStream();
        using var guest = new TraceGuest(
            a =>
            {
                foreach (byte character in "a\\\u001b\nb"u8)
                {
                    a.mov(al, (sbyte)character);
                    a.@out(0xe9, al);
                }

                a.hlt();
            },
            console);

        new Tracer(output, new TracerOptions(), console).Run(guest.Machine);

        Assert.That(
            Encoding.UTF8.GetString(output.ToArray()).Split('\n').SkipWhile(line => !line.StartsWith("console", StringComparison.Ordinal)),
            Is.EqualTo(new[]
            {
                @"console: a\\\x1b",
                "0000000000401010: mov al, 0x62                                  ; rax=0000000000000062",
                "0000000000401012: out 0xe9, al",
                "0000000000401014: hlt",
                "console: b",
                "",
            }));
    }

    [Test]
    public void The_same_program_gives_the_same_bytes()
    {
        TracerOptions everything = new() { Walks = true, Devices = true, Exceptions = true, Bytes = true, Symbols = TraceGuest.Symbols };

        string first = TraceGuest.Trace(FaultAndHandler, everything);
        string second = TraceGuest.Trace(FaultAndHandler, everything);

        Assert.That(second, Is.EqualTo(first).And.Not.Empty);
    }

    [Test]
    public void Tracing_leaves_the_machine_as_running_does()
    {
        using var traced = new TraceGuest(Fill(300));
        using var plain = new TraceGuest(Fill(300));

        traced.Trace(new TracerOptions { Walks = true, Devices = true });
        StopReport report = plain.Machine.Run();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(traced.Report, Is.EqualTo(report));
            Assert.That(traced.Machine.Cpu.Rflags, Is.EqualTo(plain.Machine.Cpu.Rflags));
            Assert.That(traced.Machine.Cpu.Counters.Instructions, Is.EqualTo(plain.Machine.Cpu.Counters.Instructions));
            Assert.That(traced.Machine.Mmio.Observer, Is.Null);
            Assert.That(traced.Machine.Ports.Observer, Is.Null);
        }
    }

    private static Action<Assembler> Fill(int count) => a =>
    {
        a.mov(rcx, count);
        a.rep.stosb();
        a.hlt();
    };

    private static void StoreToUart(Assembler a)
    {
        a.mov(ebx, 0xd0000000);
        a.mov(__byte_ptr[rbx + 7], 0x41);
    }

    private static void FaultAndHandler(Assembler a)
    {
        a.mov(__byte_ptr[rdi + (int)(TraceGuest.ReadOnly - TraceGuest.Data)], 1);
        a.db(new byte[9]);
        a.hlt();
    }

    private static void Golden(Action<Assembler> program, TracerOptions options, string expected, Action<TraceGuest>? prepare = null) =>
        Assert.That(TraceGuest.Trace(program, options, prepare: prepare), Is.EqualTo(expected.ReplaceLineEndings("\n")));
}
