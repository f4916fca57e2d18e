namespace Quadwalk.Tests;

/// <summary>Where QEMU 7.2 (TCG, -cpu max) and the SDM differ, as far as the guests of samples/guests/pc look. Sections are those of Vol. 3A.</summary>
internal static class QemuDifferences
{
    /// <summary>The version whose differences these are; a later one may have fewer.</summary>
    public const string Version = "7.2";

    public static readonly QemuDifference[] All =
    [
        new("walks", "reserved bits give an error code without P; 5.7 sets RSVD only with P", ["4K reserved bits", "2M reserved bits", "1G reserved bits"]),
        new("walks32", "the same", ["32-bit 4M reserved bits", "PAE 4K reserved bits", "PAE 2M reserved bits"]),
        new("walks57", "the same", ["4K reserved bits"]),
        new("walks57", "a user's access to a page of the supervisor never sets PK; 5.7 sets it for data accesses that IA32_PKRS forbids, whoever makes them",
            ["4K PKS=1 by the user", "2M PKS=1 by the user", "1G PKS=1 by the user"]),
        new("paging", "the same",
        [
            "PS in a PML4E is reserved", "bit 13 of a 2 MiB page is reserved", "bit 29 of a 1 GiB page is reserved",
            "XD is reserved while EFER.NXE is 0", "no I/D in the error code while NXE and SMEP are 0",
        ]),
        new("paging", "#GP also for stack references that are not canonical; Vol. 1, 3.3.7.1 has #SS", ["#SS through RBP"]),
        new("paging32", "reserved bits give an error code without P; 5.7", ["bit 21 is reserved", "bit 62 of a PTE is reserved", "bit 13 of it is reserved"]),
        new("paging32", "PDPTEs are read at each walk, and MOV CR3 does not look at them; 5.4.1",
            ["PDPTEs are registers: a change waits", "which refuses reserved bits with #GP"]),
        new("smap", "implicit accesses go by AC; 5.6.1", ["AC does not help implicit accesses", "their error code has no U"]),
        new("segments", "limits and types are not looked at when memory is accessed; 5.3, 5.5",
        [
            "the one behind", "four bytes over it", "at the top of the offsets", "and one more", "expand-down, at its limit",
            "expand-down with 64 KiB, over its end", "a write", "a write", "a read through it",
        ]),
        new("segments", "a far call over the limit of CS gives the selector; Vol. 2A, CALL has 0", ["its error code"]),
        new("realmode", "limits are not looked at when memory is accessed; 21.1.1", ["#GP for a word over the end of a segment", "#GP for an offset beyond 64 KiB"]),
        new("idt", "a null SS may have any RPL at CPL 0; Vol. 2B, MOV", ["#GP by a null SS at CPL 0 with RPL 3"]),
        new("idt", "error codes have the vector * 16 and no EXT; 6.13",
            ["its error code", "its error code", "its error code", "its error code has EXT of the #UD"]),
        new("idt", "no RF in the frame of a fault, and no INT1; 6.8.3, Vol. 2A, INT1", ["RF is 1 in the frame of a fault", "INT1 at CPL 3 asks no DPL"]),
        new("debug", "no GD, and no INT1; 18.2", ["GD protects the registers", "with BD", "and GD is 0 in the handler", "INT1"]),
        new("debug", "a second breakpoint of the instruction is lost, and one hit for a read and write is two; 18.2",
            ["a read and write gives one", "two at once", "with a step too"]),
        new("msr", "addresses that are not canonical are taken; Vol. 2B, WRMSR",
            [.. Enumerable.Repeat("#GP if not canonical", 7), .. Enumerable.Repeat("nor from the other side", 7)]),
        new("msr", "reserved bits and unknown MSRs are taken; Vol. 2B, WRMSR",
        [
            "#GP for the upper half of FMASK", "#GP for a reserved type in PAT", "#GP for type 8 in PAT", "PAT after reset",
            "#GP for the upper half of TSC_AUX", "#GP to clear LME under paging", "#GP for reserved bits of EFER", "#GP for an unknown MSR, read",
            "#GP for an unknown MSR, written", "#GP for a reserved bit of IA32_APIC_BASE", "#GP for an address that is too wide",
        ]),
        new("msr", "CR4.PAE can be cleared in IA-32e mode, which ends the run; 4.1", ["and again"], AndAllAfter: true),
        new("xsave", "reserved bits of MXCSR are loaded; 13.8.1", ["#GP for reserved bits of MXCSR"]),
        new("xsave", "there is no XSAVEC, and XSAVE does not look at CR0.TS; Vol. 2D, XSAVE",
            ["XSAVEC", "sets the compact format", "and puts AVX at 576", "#NM by XSAVE with CR0.TS"]),
        new("fpu", "x87 exceptions wait for no instruction, and the stack does not overflow; Vol. 1, 8.5.1, 8.7",
            ["for the next instruction: #MF", "a stack overflow", "gives the default NaN"]),
        new("fpu", "SSE exceptions are not raised; Vol. 1, 11.5",
            ["#GP for its reserved bits", "and sets ZE", "#XM if unmasked", "and the register is as it was", "#UD without OSXMMEXCPT"]),
        new("apic", "there are no TSC deadlines; 11.5.4.1",
            ["a deadline", "comes", "and is 0 then", "one in the past comes too", "another mode disarms it"]),
        new("apic", "no errors, and the LVT and the page of a disabled APIC are as before; 11.4.3, 11.4.7.2, 11.5.3",
        [
            "an IPI with a vector below 16", "raises the error interrupt", "and the interrupt does not come", "the SVR's bit 8 masks the LVT",
            "which stays so", "off, its page is nobody's",
        ]),
        new("x2apic", "there is no x2APIC", ["#GP for its MSRs in xAPIC mode"], AndAllAfter: true),
        new("syscall", "SYSRET takes an address that is not canonical, after which the run goes astray; Vol. 2B, SYSRET",
            ["#GP by SYSRET to a non-canonical address"], AndAllAfter: true),
        new("timers", "the 8254 counts on in mode 0 while its gate is low, and goes by the host's time, as the ACPI timer does",
            ["10 ms by channel 2 are 10 ms by the ACPI timer"], AndAllAfter: true),
    ];
}
