using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Where CPUID claims a feature, and by which of Iced's names its instructions are known.</summary>
/// <param name="Feature">The feature.</param>
/// <param name="Name">As users write it.</param>
/// <param name="Leaf">EAX.</param>
/// <param name="Subleaf">ECX.</param>
/// <param name="Register">Where the bit is.</param>
/// <param name="Bit">The bit.</param>
/// <param name="Instructions">Iced's names.</param>
internal readonly record struct CpuFeatureRow(
    CpuFeature Feature, string Name, uint Leaf, uint Subleaf, CpuidRegister Register, int Bit, params CpuidFeature[] Instructions);

/// <summary>The features as a table (SDM Vol. 2A, "CPUID").</summary>
internal static class CpuFeatureTable
{
    private const uint Extended = 0x8000_0001;

    /// <summary>A row for each feature.</summary>
    public static IReadOnlyList<CpuFeatureRow> Rows { get; } =
    [
        new(CpuFeature.Fpu, "fpu", 1, 0, CpuidRegister.Edx, 0, CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387),
        new(CpuFeature.Vme, "vme", 1, 0, CpuidRegister.Edx, 1),
        new(CpuFeature.De, "de", 1, 0, CpuidRegister.Edx, 2),
        new(CpuFeature.Pse, "pse", 1, 0, CpuidRegister.Edx, 3),
        new(CpuFeature.Tsc, "tsc", 1, 0, CpuidRegister.Edx, 4, CpuidFeature.TSC),
        new(CpuFeature.Msr, "msr", 1, 0, CpuidRegister.Edx, 5, CpuidFeature.MSR),
        new(CpuFeature.Pae, "pae", 1, 0, CpuidRegister.Edx, 6),
        new(CpuFeature.Mce, "mce", 1, 0, CpuidRegister.Edx, 7),
        new(CpuFeature.Cx8, "cx8", 1, 0, CpuidRegister.Edx, 8, CpuidFeature.CX8),
        new(CpuFeature.Apic, "apic", 1, 0, CpuidRegister.Edx, 9),
        new(CpuFeature.Sep, "sep", 1, 0, CpuidRegister.Edx, 11, CpuidFeature.SEP),
        new(CpuFeature.Mtrr, "mtrr", 1, 0, CpuidRegister.Edx, 12),
        new(CpuFeature.Pge, "pge", 1, 0, CpuidRegister.Edx, 13),
        new(CpuFeature.Mca, "mca", 1, 0, CpuidRegister.Edx, 14),
        new(CpuFeature.Cmov, "cmov", 1, 0, CpuidRegister.Edx, 15, CpuidFeature.CMOV),
        new(CpuFeature.Pat, "pat", 1, 0, CpuidRegister.Edx, 16),
        new(CpuFeature.Pse36, "pse36", 1, 0, CpuidRegister.Edx, 17),
        new(CpuFeature.Clflush, "clflush", 1, 0, CpuidRegister.Edx, 19, CpuidFeature.CLFSH),
        new(CpuFeature.Mmx, "mmx", 1, 0, CpuidRegister.Edx, 23, CpuidFeature.MMX),
        new(CpuFeature.Fxsr, "fxsr", 1, 0, CpuidRegister.Edx, 24, CpuidFeature.FXSR),
        new(CpuFeature.Sse, "sse", 1, 0, CpuidRegister.Edx, 25, CpuidFeature.SSE),
        new(CpuFeature.Sse2, "sse2", 1, 0, CpuidRegister.Edx, 26, CpuidFeature.SSE2),
        new(CpuFeature.Sse3, "sse3", 1, 0, CpuidRegister.Ecx, 0, CpuidFeature.SSE3),
        new(CpuFeature.Pclmulqdq, "pclmulqdq", 1, 0, CpuidRegister.Ecx, 1, CpuidFeature.PCLMULQDQ),
        new(CpuFeature.Monitor, "monitor", 1, 0, CpuidRegister.Ecx, 3, CpuidFeature.MONITOR),
        new(CpuFeature.Ssse3, "ssse3", 1, 0, CpuidRegister.Ecx, 9, CpuidFeature.SSSE3),
        new(CpuFeature.Fma, "fma", 1, 0, CpuidRegister.Ecx, 12, CpuidFeature.FMA),
        new(CpuFeature.Cx16, "cx16", 1, 0, CpuidRegister.Ecx, 13, CpuidFeature.CMPXCHG16B),
        new(CpuFeature.Pcid, "pcid", 1, 0, CpuidRegister.Ecx, 17),
        new(CpuFeature.Sse41, "sse4.1", 1, 0, CpuidRegister.Ecx, 19, CpuidFeature.SSE4_1),
        new(CpuFeature.Sse42, "sse4.2", 1, 0, CpuidRegister.Ecx, 20, CpuidFeature.SSE4_2),
        new(CpuFeature.X2apic, "x2apic", 1, 0, CpuidRegister.Ecx, 21),
        new(CpuFeature.Movbe, "movbe", 1, 0, CpuidRegister.Ecx, 22, CpuidFeature.MOVBE),
        new(CpuFeature.Popcnt, "popcnt", 1, 0, CpuidRegister.Ecx, 23, CpuidFeature.POPCNT),
        new(CpuFeature.TscDeadline, "tsc-deadline", 1, 0, CpuidRegister.Ecx, 24),
        new(CpuFeature.Aes, "aes", 1, 0, CpuidRegister.Ecx, 25, CpuidFeature.AES),
        new(CpuFeature.Xsave, "xsave", 1, 0, CpuidRegister.Ecx, 26, CpuidFeature.XSAVE),
        new(CpuFeature.Avx, "avx", 1, 0, CpuidRegister.Ecx, 28, CpuidFeature.AVX),
        new(CpuFeature.F16c, "f16c", 1, 0, CpuidRegister.Ecx, 29, CpuidFeature.F16C),
        new(CpuFeature.Rdrand, "rdrand", 1, 0, CpuidRegister.Ecx, 30, CpuidFeature.RDRAND),
        new(CpuFeature.Hypervisor, "hypervisor", 1, 0, CpuidRegister.Ecx, 31),
        new(CpuFeature.Fsgsbase, "fsgsbase", 7, 0, CpuidRegister.Ebx, 0, CpuidFeature.FSGSBASE),
        new(CpuFeature.TscAdjust, "tsc-adjust", 7, 0, CpuidRegister.Ebx, 1),
        new(CpuFeature.Bmi1, "bmi1", 7, 0, CpuidRegister.Ebx, 3, CpuidFeature.BMI1),
        new(CpuFeature.Avx2, "avx2", 7, 0, CpuidRegister.Ebx, 5, CpuidFeature.AVX2),
        new(CpuFeature.Smep, "smep", 7, 0, CpuidRegister.Ebx, 7),
        new(CpuFeature.Bmi2, "bmi2", 7, 0, CpuidRegister.Ebx, 8, CpuidFeature.BMI2),
        new(CpuFeature.Erms, "erms", 7, 0, CpuidRegister.Ebx, 9),
        new(CpuFeature.Invpcid, "invpcid", 7, 0, CpuidRegister.Ebx, 10, CpuidFeature.INVPCID),
        new(CpuFeature.Rdseed, "rdseed", 7, 0, CpuidRegister.Ebx, 18, CpuidFeature.RDSEED),
        new(CpuFeature.Adx, "adx", 7, 0, CpuidRegister.Ebx, 19, CpuidFeature.ADX),
        new(CpuFeature.Smap, "smap", 7, 0, CpuidRegister.Ebx, 20, CpuidFeature.SMAP),
        new(CpuFeature.Clflushopt, "clflushopt", 7, 0, CpuidRegister.Ebx, 23, CpuidFeature.CLFLUSHOPT),
        new(CpuFeature.Clwb, "clwb", 7, 0, CpuidRegister.Ebx, 24, CpuidFeature.CLWB),
        new(CpuFeature.Sha, "sha-ni", 7, 0, CpuidRegister.Ebx, 29, CpuidFeature.SHA),
        new(CpuFeature.Umip, "umip", 7, 0, CpuidRegister.Ecx, 2),
        new(CpuFeature.Pku, "pku", 7, 0, CpuidRegister.Ecx, 3, CpuidFeature.PKU),
        new(CpuFeature.La57, "la57", 7, 0, CpuidRegister.Ecx, 16),
        new(CpuFeature.Rdpid, "rdpid", 7, 0, CpuidRegister.Ecx, 22, CpuidFeature.RDPID),
        new(CpuFeature.Cldemote, "cldemote", 7, 0, CpuidRegister.Ecx, 25, CpuidFeature.CLDEMOTE),
        new(CpuFeature.Movdiri, "movdiri", 7, 0, CpuidRegister.Ecx, 27, CpuidFeature.MOVDIRI),
        new(CpuFeature.Movdir64b, "movdir64b", 7, 0, CpuidRegister.Ecx, 28, CpuidFeature.MOVDIR64B),
        new(CpuFeature.Pks, "pks", 7, 0, CpuidRegister.Ecx, 31),
        new(CpuFeature.Fsrm, "fsrm", 7, 0, CpuidRegister.Edx, 4),
        new(CpuFeature.Serialize, "serialize", 7, 0, CpuidRegister.Edx, 14, CpuidFeature.SERIALIZE),
        new(CpuFeature.Lam, "lam", 7, 1, CpuidRegister.Eax, 26),
        new(CpuFeature.Xsaveopt, "xsaveopt", 0xD, 1, CpuidRegister.Eax, 0, CpuidFeature.XSAVEOPT),
        new(CpuFeature.Xsavec, "xsavec", 0xD, 1, CpuidRegister.Eax, 1, CpuidFeature.XSAVEC),
        new(CpuFeature.Xgetbv1, "xgetbv1", 0xD, 1, CpuidRegister.Eax, 2),
        new(CpuFeature.Xsaves, "xsaves", 0xD, 1, CpuidRegister.Eax, 3, CpuidFeature.XSAVES),
        new(CpuFeature.LahfLm, "lahf-lm", Extended, 0, CpuidRegister.Ecx, 0),
        new(CpuFeature.Lzcnt, "abm", Extended, 0, CpuidRegister.Ecx, 5, CpuidFeature.LZCNT),
        new(CpuFeature.Prefetchw, "3dnowprefetch", Extended, 0, CpuidRegister.Ecx, 8, CpuidFeature.PREFETCHW),
        new(CpuFeature.Syscall, "syscall", Extended, 0, CpuidRegister.Edx, 11, CpuidFeature.SYSCALL),
        new(CpuFeature.Nx, "nx", Extended, 0, CpuidRegister.Edx, 20),
        new(CpuFeature.Pdpe1gb, "pdpe1gb", Extended, 0, CpuidRegister.Edx, 26),
        new(CpuFeature.Rdtscp, "rdtscp", Extended, 0, CpuidRegister.Edx, 27, CpuidFeature.RDTSCP),
        new(CpuFeature.Lm, "lm", Extended, 0, CpuidRegister.Edx, 29),
        new(CpuFeature.Invtsc, "invtsc", 0x8000_0007, 0, CpuidRegister.Edx, 8),
        new(CpuFeature.Wbnoinvd, "wbnoinvd", 0x8000_0008, 0, CpuidRegister.Ebx, 9, CpuidFeature.WBNOINVD),
    ];

    /// <summary>What every processor with long mode has without a word.</summary>
    public static IReadOnlySet<CpuidFeature> Baseline { get; } = new HashSet<CpuidFeature>
    {
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64,
        CpuidFeature.CPUID, CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE, CpuidFeature.INTEL8086_ONLY, CpuidFeature.SMM, CpuidFeature.RDPMC,
    };
}
