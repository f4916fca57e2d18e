namespace Quadwalk.Emulation;

/// <summary>Bits of RFLAGS (SDM Vol. 1, figure 3-8).</summary>
public static class Rflags
{
    /// <summary>Carry.</summary>
    public const ulong CF = 1 << 0;

    /// <summary>Always 1.</summary>
    public const ulong Fixed = 1 << 1;

    /// <summary>Parity of the low byte.</summary>
    public const ulong PF = 1 << 2;

    /// <summary>Carry out of bit 3.</summary>
    public const ulong AF = 1 << 4;

    /// <summary>Zero.</summary>
    public const ulong ZF = 1 << 6;

    /// <summary>Sign.</summary>
    public const ulong SF = 1 << 7;

    /// <summary>Single step.</summary>
    public const ulong TF = 1 << 8;

    /// <summary>Interrupts enabled.</summary>
    public const ulong IF = 1 << 9;

    /// <summary>String instructions go downward.</summary>
    public const ulong DF = 1 << 10;

    /// <summary>Signed overflow.</summary>
    public const ulong OF = 1 << 11;

    /// <summary>I/O privilege level, two bits.</summary>
    public const ulong Iopl = 3 << IoplShift;

    /// <summary>The position of <see cref="Iopl"/>.</summary>
    public const int IoplShift = 12;

    /// <summary>Nested task.</summary>
    public const ulong NT = 1 << 14;

    /// <summary>Resume: no instruction breakpoint on the next instruction.</summary>
    public const ulong RF = 1 << 16;

    /// <summary>Virtual-8086 mode.</summary>
    public const ulong VM = 1 << 17;

    /// <summary>Alignment check; at CPL below 3 with CR4.SMAP, leave to touch user pages.</summary>
    public const ulong AC = 1 << 18;

    /// <summary>Virtual IF.</summary>
    public const ulong VIF = 1 << 19;

    /// <summary>A virtual interrupt is pending.</summary>
    public const ulong VIP = 1 << 20;

    /// <summary>CPUID can be used.</summary>
    public const ulong ID = 1 << 21;

    /// <summary>The six status flags.</summary>
    public const ulong Status = CF | PF | AF | ZF | SF | OF;

    /// <summary>Every bit that software can change in 64-bit mode.</summary>
    public const ulong Writable = Status | TF | IF | DF | Iopl | NT | RF | AC | ID;

    /// <summary>Every bit that can be 1 besides <see cref="Fixed"/>.</summary>
    public const ulong Defined = Writable | VM | VIF | VIP;
}

/// <summary>Bits of CR0 (SDM Vol. 3A, 2.5).</summary>
public static class Cr0
{
    /// <summary>Protection enable.</summary>
    public const ulong PE = 1 << 0;

    /// <summary>Monitor coprocessor.</summary>
    public const ulong MP = 1 << 1;

    /// <summary>Emulation: no x87 and no SSE.</summary>
    public const ulong EM = 1 << 2;

    /// <summary>Task switched: the next x87 or SSE instruction raises #NM.</summary>
    public const ulong TS = 1 << 3;

    /// <summary>Always 1.</summary>
    public const ulong ET = 1 << 4;

    /// <summary>Numeric errors as exceptions.</summary>
    public const ulong NE = 1 << 5;

    /// <summary>Write protect for supervisor accesses.</summary>
    public const ulong WP = 1 << 16;

    /// <summary>Alignment mask.</summary>
    public const ulong AM = 1 << 18;

    /// <summary>Not write-through.</summary>
    public const ulong NW = 1 << 29;

    /// <summary>Cache disable.</summary>
    public const ulong CD = 1 << 30;

    /// <summary>Paging.</summary>
    public const ulong PG = 1UL << 31;

    /// <summary>Every bit that CR0 has.</summary>
    public const ulong Known = PE | MP | EM | TS | ET | NE | WP | AM | NW | CD | PG;
}

/// <summary>Bits of CR4 (SDM Vol. 3A, 2.5); <see cref="CpuFeatures.Cr4Bits"/> are those that one processor has.</summary>
public static class Cr4
{
    /// <summary>RDTSC at CPL 0 only.</summary>
    public const ulong TSD = 1 << 2;

    /// <summary>Debugging extensions: DR4 and DR5 raise #UD.</summary>
    public const ulong DE = 1 << 3;

    /// <summary>Protected-mode virtual interrupts: CLI and STI at CPL 3 change RFLAGS.VIF.</summary>
    public const ulong PVI = 1 << 1;

    /// <summary>4 MiB pages in 32-bit paging.</summary>
    public const ulong PSE = 1 << 4;

    /// <summary>64-bit page-table entries.</summary>
    public const ulong PAE = 1 << 5;

    /// <summary>Machine check.</summary>
    public const ulong MCE = 1 << 6;

    /// <summary>Global pages.</summary>
    public const ulong PGE = 1 << 7;

    /// <summary>FXSAVE, FXRSTOR and SSE.</summary>
    public const ulong OSFXSR = 1 << 9;

    /// <summary>SIMD floating-point errors raise #XM.</summary>
    public const ulong OSXMMEXCPT = 1 << 10;

    /// <summary>User-mode instruction prevention: no SGDT, SIDT, SLDT, STR and SMSW above CPL 0.</summary>
    public const ulong UMIP = 1 << 11;

    /// <summary>5-level paging in IA-32e mode.</summary>
    public const ulong LA57 = 1 << 12;

    /// <summary>Protection keys for supervisor pages, in IA32_PKRS.</summary>
    public const ulong PKS = 1 << 24;

    /// <summary>Linear-address masking of supervisor pointers.</summary>
    public const ulong LAM_SUP = 1 << 28;

    /// <summary>RDFSBASE and its kin.</summary>
    public const ulong FSGSBASE = 1 << 16;

    /// <summary>Process-context identifiers in CR3.</summary>
    public const ulong PCIDE = 1 << 17;

    /// <summary>XSAVE and XCR0.</summary>
    public const ulong OSXSAVE = 1 << 18;

    /// <summary>Protection keys for user pages, RDPKRU and WRPKRU.</summary>
    public const ulong PKE = 1 << 22;

    /// <summary>Supervisor-mode execution prevention.</summary>
    public const ulong SMEP = 1 << 20;

    /// <summary>Supervisor-mode access prevention.</summary>
    public const ulong SMAP = 1 << 21;
}

/// <summary>Bits of IA32_EFER (SDM Vol. 3A, 2.2.1); <see cref="CpuFeatures.EferBits"/> are those that one processor has.</summary>
public static class Efer
{
    /// <summary>SYSCALL and SYSRET.</summary>
    public const ulong SCE = 1 << 0;

    /// <summary>Long mode wanted.</summary>
    public const ulong LME = 1 << 8;

    /// <summary>Long mode active.</summary>
    public const ulong LMA = 1 << 10;

    /// <summary>The execute-disable bit.</summary>
    public const ulong NXE = 1 << 11;
}
