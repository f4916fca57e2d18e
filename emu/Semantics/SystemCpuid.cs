namespace Quadwalk.Emulation;

/// <summary>What one CPUID leaf says.</summary>
internal readonly record struct CpuidLeaf(uint Eax, uint Ebx, uint Ecx, uint Edx)
{
    private const uint LastBasic = 7;
    private const uint LastExtended = 0x8000_0008;
    private const uint Signature = 0x0006_0FB1;
    private const uint ClflushLines = 8 << 8;
    private const uint LinearAddressBits = 48;

    private const uint Tsc = 1 << 4;
    private const uint Msr = 1 << 5;
    private const uint Pae = 1 << 6;
    private const uint Cx8 = 1 << 8;
    private const uint Pge = 1 << 13;
    private const uint Cmov = 1 << 15;
    private const uint Pat = 1 << 16;
    private const uint Clfsh = 1 << 19;
    private const uint Fxsr = 1 << 24;
    private const uint Sse = 1 << 25;
    private const uint Sse2 = 1 << 26;
    private const uint De = 1 << 2;
    private const uint Pse = 1 << 3;
    private const uint Cx16 = 1 << 13;
    private const uint Smep = 1 << 7;
    private const uint Smap = 1 << 20;
    private const uint Lahf = 1 << 0;
    private const uint SyscallBit = 1 << 11;
    private const uint Nx = 1 << 20;
    private const uint Page1G = 1 << 26;
    private const uint Rdtscp = 1 << 27;
    private const uint LongMode = 1 << 29;

    private static ReadOnlySpan<byte> Vendor => "QuadwalkEmu!"u8;

    private static ReadOnlySpan<byte> Brand => "Quadwalk x86-64 processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"u8;

    /// <summary>The leaf that EAX and ECX ask for (SDM Vol. 2A, "CPUID"); one that is not there answers as the last basic leaf.</summary>
    public static CpuidLeaf Of(CpuFeatures features, uint leaf) => leaf switch
    {
        0 => new(LastBasic, Word(Vendor, 0), Word(Vendor, 8), Word(Vendor, 4)),
        1 => new(Signature, ClflushLines, Cx16, De | Pse | Tsc | Msr | Pae | Cx8 | Pge | Cmov | Pat | Clfsh | Fxsr | Sse | Sse2),
        7 => new(0, Smep | Smap, 0, 0),
        > 1 and < LastBasic => default,
        0x8000_0000 => new(LastExtended, 0, 0, 0),
        0x8000_0001 => new(0, 0, Lahf, SyscallBit | Nx | (features.Page1G ? Page1G : 0) | Rdtscp | LongMode),
        >= 0x8000_0002 and <= 0x8000_0004 => BrandPart((int)(leaf - 0x8000_0002) * 16),
        0x8000_0008 => new(features.PhysicalAddressBits | (LinearAddressBits << 8), 0, 0, 0),
        >= 0x8000_0005 and < LastExtended => default,
        _ => Of(features, LastBasic),
    };

    private static CpuidLeaf BrandPart(int at) => new(Word(Brand, at), Word(Brand, at + 4), Word(Brand, at + 8), Word(Brand, at + 12));

    private static uint Word(ReadOnlySpan<byte> text, int at) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(text[at..]);
}

/// <summary>CPUID: only what this processor has.</summary>
internal readonly struct CpuidInstruction : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        uint asked = (uint)cpu.Gpr[GeneralRegister.Rax];
        bool noSuchSubleaf = asked == 7 && (uint)cpu.Gpr[GeneralRegister.Rcx] != 0;
        CpuidLeaf leaf = noSuchSubleaf ? default : CpuidLeaf.Of(vcpu.Features, asked);
        cpu.Gpr[GeneralRegister.Rax] = leaf.Eax;
        cpu.Gpr[GeneralRegister.Rbx] = leaf.Ebx;
        cpu.Gpr[GeneralRegister.Rcx] = leaf.Ecx;
        cpu.Gpr[GeneralRegister.Rdx] = leaf.Edx;
        return true;
    }
}
