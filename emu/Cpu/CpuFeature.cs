namespace Quadwalk.Emulation;

/// <summary>What CPUID can claim, by the names that Linux and QEMU print in lower case (SDM Vol. 2A, "CPUID").</summary>
public enum CpuFeature : byte
{
    /// <summary>The x87 unit.</summary>
    Fpu,

    /// <summary>MMX.</summary>
    Mmx,

    /// <summary>FXSAVE and FXRSTOR.</summary>
    Fxsr,

    /// <summary>SSE.</summary>
    Sse,

    /// <summary>SSE2.</summary>
    Sse2,

    /// <summary>SSE3.</summary>
    Sse3,

    /// <summary>SSSE3.</summary>
    Ssse3,

    /// <summary>SSE4.1.</summary>
    Sse41,

    /// <summary>SSE4.2.</summary>
    Sse42,

    /// <summary>POPCNT.</summary>
    Popcnt,

    /// <summary>AESENC and its kin.</summary>
    Aes,

    /// <summary>PCLMULQDQ.</summary>
    Pclmulqdq,

    /// <summary>SHA1 and SHA256 instructions.</summary>
    Sha,

    /// <summary>AVX.</summary>
    Avx,

    /// <summary>AVX2.</summary>
    Avx2,

    /// <summary>FMA.</summary>
    Fma,

    /// <summary>VCVTPH2PS and VCVTPS2PH.</summary>
    F16c,

    /// <summary>The first group of bit-manipulation instructions, with TZCNT.</summary>
    Bmi1,

    /// <summary>The second group of bit-manipulation instructions.</summary>
    Bmi2,

    /// <summary>LZCNT.</summary>
    Lzcnt,

    /// <summary>ADCX and ADOX.</summary>
    Adx,

    /// <summary>MOVBE.</summary>
    Movbe,

    /// <summary>RDRAND.</summary>
    Rdrand,

    /// <summary>RDSEED.</summary>
    Rdseed,

    /// <summary>XSAVE, XRSTOR, XSETBV, XGETBV.</summary>
    Xsave,

    /// <summary>XSAVEOPT.</summary>
    Xsaveopt,

    /// <summary>XSAVEC.</summary>
    Xsavec,

    /// <summary>XSAVES, XRSTORS and IA32_XSS.</summary>
    Xsaves,

    /// <summary>XGETBV with ECX = 1.</summary>
    Xgetbv1,

    /// <summary>RDFSBASE and its kin.</summary>
    Fsgsbase,

    /// <summary>RDTSCP.</summary>
    Rdtscp,

    /// <summary>RDPID.</summary>
    Rdpid,

    /// <summary>CLFLUSH.</summary>
    Clflush,

    /// <summary>CLFLUSHOPT.</summary>
    Clflushopt,

    /// <summary>CLWB.</summary>
    Clwb,

    /// <summary>MOVDIRI.</summary>
    Movdiri,

    /// <summary>MOVDIR64B.</summary>
    Movdir64b,

    /// <summary>CMPXCHG8B.</summary>
    Cx8,

    /// <summary>CMPXCHG16B.</summary>
    Cx16,

    /// <summary>CMOVcc.</summary>
    Cmov,

    /// <summary>SYSENTER and SYSEXIT.</summary>
    Sep,

    /// <summary>SYSCALL and SYSRET.</summary>
    Syscall,

    /// <summary>LAHF and SAHF in 64-bit mode.</summary>
    LahfLm,

    /// <summary>MONITOR and MWAIT.</summary>
    Monitor,

    /// <summary>INVPCID.</summary>
    Invpcid,

    /// <summary>Process-context identifiers.</summary>
    Pcid,

    /// <summary>User-mode instruction prevention.</summary>
    Umip,

    /// <summary>Supervisor-mode execution prevention.</summary>
    Smep,

    /// <summary>Supervisor-mode access prevention.</summary>
    Smap,

    /// <summary>Protection keys for user pages.</summary>
    Pku,

    /// <summary>Protection keys for supervisor pages.</summary>
    Pks,

    /// <summary>5-level paging: linear addresses of 57 bits.</summary>
    La57,

    /// <summary>Linear-address masking: metadata in the upper bits of data pointers.</summary>
    Lam,

    /// <summary>I/O breakpoints (CR4.DE).</summary>
    De,

    /// <summary>4 MiB pages.</summary>
    Pse,

    /// <summary>4 MiB pages above 4 GiB.</summary>
    Pse36,

    /// <summary>Physical-address extension.</summary>
    Pae,

    /// <summary>Global pages.</summary>
    Pge,

    /// <summary>The time-stamp counter.</summary>
    Tsc,

    /// <summary>RDMSR and WRMSR.</summary>
    Msr,

    /// <summary>The page-attribute table.</summary>
    Pat,

    /// <summary>Memory-type range registers.</summary>
    Mtrr,

    /// <summary>A local APIC.</summary>
    Apic,

    /// <summary>x2APIC.</summary>
    X2apic,

    /// <summary>The APIC timer's TSC-deadline mode.</summary>
    TscDeadline,

    /// <summary>Execute-disable.</summary>
    Nx,

    /// <summary>1 GiB pages.</summary>
    Pdpe1gb,

    /// <summary>Long mode.</summary>
    Lm,

    /// <summary>Virtual-8086 mode enhancements.</summary>
    Vme,

    /// <summary>Running under a hypervisor.</summary>
    Hypervisor,

    /// <summary>Machine check.</summary>
    Mce,

    /// <summary>Machine-check architecture.</summary>
    Mca,

    /// <summary>PREFETCHW.</summary>
    Prefetchw,

    /// <summary>REP MOVSB and REP STOSB that are fast.</summary>
    Erms,

    /// <summary>REP MOVSB that is fast for few bytes.</summary>
    Fsrm,

    /// <summary>CLDEMOTE.</summary>
    Cldemote,

    /// <summary>SERIALIZE.</summary>
    Serialize,

    /// <summary>WBNOINVD.</summary>
    Wbnoinvd,

    /// <summary>IA32_TSC_ADJUST.</summary>
    TscAdjust,

    /// <summary>A time-stamp counter that runs at one rate in every state.</summary>
    Invtsc,
}
