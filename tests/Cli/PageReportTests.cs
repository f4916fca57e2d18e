using NUnit.Framework;
using Quadwalk.Cli;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

[TestFixture]
internal sealed class PageReportTests
{
    private static readonly PagingState State = new(
        PagingState.Cr0PG | PagingState.Cr0WP, 0x1000, PagingState.Cr4PAE, PagingState.EferLMA | PagingState.EferNXE, false, 40);

    [Test]
    public void AWriteThroughFourLevels() => Check(0x1234, AccessKind.Write, user: true, """
        User write at 0x1234
        CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 40

        level  entry at         value               flags                          rights so far
        PML4E  0x000000001000   0x0000000000002027  P RW US --- --- A - --  - --  user rwx
        PDPTE  0x000000002000   0x0000000000003007  P RW US --- --- - - --  - --  user rwx
        PDE    0x000000003000   0x8000000000004007  P RW US --- --- - - --  - NX  user rw-
        PTE    0x000000004008   0x0000000000009107  P RW US --- --- - - --- G --  user rw- (maps the page)

        page   4 KiB at guest-physical 0x9000, byte at 0x9234
        host   memslot 0 (0x0..0xffff), offset 0x9234
        sets   A in the PDPTE, A in the PDE, A and D in the PTE; nothing was changed here

        """);

    [Test]
    public void AFetchThatALevelForbids() => Check(0x1234, AccessKind.Execute, user: true, """
        User instruction fetch at 0x1234
        CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 40

        level  entry at         value               flags                          rights so far
        PML4E  0x000000001000   0x0000000000002027  P RW US --- --- A - --  - --  user rwx
        PDPTE  0x000000002000   0x0000000000003007  P RW US --- --- - - --  - --  user rwx
        PDE    0x000000003000   0x8000000000004007  P RW US --- --- - - --  - NX  user rw-
        PTE    0x000000004008   0x0000000000009107  P RW US --- --- - - --- G --  user rw-

        #PF(0x15). PDE at 0x3000 = 0x8000000000004007: NX is 1 and the access is a user instruction fetch with IA32_EFER.NXE = 1.

        """);

    [Test]
    public void ALargePageOfADevice() => Check(0x4020_0007, AccessKind.Read, user: false, """
        Supervisor read at 0x40200007
        CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 40

        level  entry at         value               flags                          rights so far
        PML4E  0x000000001000   0x0000000000002027  P RW US --- --- A - --  - --  user rwx
        PDPTE  0x000000002008   0x0000000000005003  P RW -- --- --- - - --  - --  supervisor rwx
        PDE    0x000000005008   0x00000000d00000e1  P -- -- --- --- A D PS  - --  supervisor r-x (maps the page)

        page   2 MiB at guest-physical 0xd0000000, byte at 0xd0000007
        host   no memslot: MMIO, ScratchRam at 0xd0000000, offset 0x7
        sets   A in the PDPTE; nothing was changed here

        """);

    [Test]
    public void AnAddressThatIsNotCanonical() => Check(0x8000_0000_0000, AccessKind.Read, user: false, """
        Supervisor read at 0x800000000000
        CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 40

        #GP(0x0). 0x800000000000 is not canonical: bits 63:47 are not all equal.

        """);

    [Test]
    public void AWriteInPaePaging() => Check(0x4000_0123, AccessKind.Write, user: false, """
        Supervisor write at 0x40000123
        PAE paging, CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 1, MAXPHYADDR 40

        level  entry at         value               flags                          rights so far
        PDPTE  0x000000001008   0x0000000000006001  P -- -- --- --- - - --  - --  user rwx
        PDE    0x000000006000   0x80000000002000e3  P RW -- --- --- A D PS  - NX  supervisor rw- (maps the page)

        page   2 MiB at guest-physical 0x200000, byte at 0x200123
        host   no memslot and no device: reads give all ones, writes go nowhere
        sets   nothing: the flags are set already

        """, State with { Efer = PagingState.EferNXE, Pdptes = new(0, 0x6001, 0, 0) });

    [Test]
    public void AReadOfALargePageIn32BitPaging() => Check(0x40_0123, AccessKind.Read, user: false, """
        Supervisor read at 0x400123
        32-bit paging, CR3 0x7000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 0, MAXPHYADDR 40

        level  entry at         value               flags                          rights so far
        PDE    0x000000007004   0x0000000000c02083  P RW -- --- --- - - PS  - --  supervisor rwx (maps the page)

        page   4 MiB at guest-physical 0x100c00000, byte at 0x100c00123
        host   no memslot and no device: reads give all ones, writes go nowhere
        sets   A in the PDE; nothing was changed here

        """, State with { Cr3 = 0x7000, Cr4 = PagingState.Cr4PSE, Efer = 0 });

    [Test]
    public void AWriteWithoutPaging() => Check(0x1234, AccessKind.Write, user: false, """
        Supervisor write at 0x1234
        No paging, CR3 0x1000, WP 1, PGE 0, SMEP 0, SMAP 0, AC 0, NXE 0, MAXPHYADDR 40

        page   none: CR0.PG is 0, byte at 0x1234
        host   memslot 0 (0x0..0xffff), offset 0x1234

        """, State with { Cr0 = PagingState.Cr0WP, Efer = 0 });

    [TestCase("_start", "--access fetch", "Supervisor instruction fetch at 0x401000 (_start)", "maps the page")]
    [TestCase("_start+4", "", "Supervisor read at 0x401004 (inner)", "maps the page")]
    [TestCase("0x402000", "--access write", "Supervisor write at 0x402000", "A and D in the PTE")]
    [TestCase("_start", "--access write", "Supervisor write at 0x401000 (_start)", "#PF(0x3). PTE at ")]
    [TestCase("_start", "--user", "User read at 0x401000 (_start)", "#PF(0x5). PML4E at ")]
    [TestCase("0xffff8880d0000005", "", "Supervisor read at 0xffff8880d0000005", "MMIO, Uart16550 at 0xd0000000, offset 0x5")]
    [TestCase("_start", "--after 2", "After 2 instructions.", "sets   nothing: the flags are set already")]
    public void AnImageIsAskedBeforeOrAfterItRuns(string at, string more, string says, string ends)
    {
        using FlatProgram image = FlatProgram.Of(new ElfBuilder { Ring = 0 }.Build());
        CliRun run = CliRun.Of(["page", image.Path, "--at", at, .. more.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.ExitCode, Is.Zero, run.Error);
            Assert.That(run.Text, Does.Contain(says).And.Contain(ends));
        }
    }

    [TestCase("nowhere", "no symbol of the image")]
    [TestCase("_start+x", "no symbol of the image")]
    [TestCase("12ab", "no address")]
    public void AnAddressThatIsNoneGives64(string at, string says)
    {
        using FlatProgram image = FlatProgram.Of(new ElfBuilder().Build());
        CliRun run = CliRun.Of("page", image.Path, "--at", at);
        Assert.That(run.ExitCode, Is.EqualTo(64));
        Assert.That(run.Error, Does.StartWith($"quadwalk: --at '{at}' is {says}"));
    }

    [Test]
    public void WhereAGuestEndedItselfIsSaid()
    {
        using FlatProgram program = FlatProgram.Exiting(0);
        Assert.That(
            CliRun.Of(program.Page("--at", "0x100000", "--after", "1k")).Text,
            Does.StartWith("After 2 instructions, where the guest ended itself.\n"));
    }

    private static void Check(ulong address, AccessKind kind, bool user, string expected, PagingState? state = null)
    {
        ArrayGuestMemory memory = new(0x10000)
        {
            [0x1000] = 0x2027,
            [0x2000] = 0x3007,
            [0x2008] = 0x5003,
            [0x3000] = 0x8000_0000_0000_4007,
            [0x4008] = 0x9107,
            [0x5008] = 0xd000_00e1,
            [0x6000] = 0x8000_0000_0020_00e3,
            [0x7000] = 0x00c0_2083UL << 32,
        };
        Memslots slots = new();
        slots.Add(new Gpa(0), 0x10000, new Hva(0x7000_0000));
        MmioBus devices = new();
        devices.Attach(new Gpa(0xd000_0000), new ScratchRam());
        using StringWriter output = new() { NewLine = "\n" };
        PageReport.Write(output, memory, slots, devices, state ?? State, new Gva(address), new WalkAccess(kind, user), $"0x{address:x}");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(output.ToString(), Is.EqualTo(expected));
            Assert.That(memory.Writes, Is.Zero);
        }
    }
}
