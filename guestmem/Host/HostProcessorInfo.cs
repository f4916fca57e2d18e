using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using System.Text;
using ArmAes = System.Runtime.Intrinsics.Arm.Aes;
using X86Aes = System.Runtime.Intrinsics.X86.Aes;

namespace Quadwalk.GuestMemory;

/// <summary>The host processor, as its identification instructions describe it to this process.</summary>
/// <param name="Name">The brand string, or null where the processor tells none.</param>
/// <param name="PhysicalAddressBits">MAXPHYADDR, or null where it is not told.</param>
/// <param name="LinearAddressBits">The width of a virtual address, or null where it is not told.</param>
/// <param name="Features">
/// What the processor has of that which matters here, named as in <c>/proc/cpuinfo</c>: instruction sets that .NET may use, and on
/// x86 the paging and virtualization features of CPUID.
/// </param>
public sealed record HostProcessorInfo(string? Name, int? PhysicalAddressBits, int? LinearAddressBits, ImmutableArray<string> Features)
{
    /// <summary>Asks the processor.</summary>
    public static HostProcessorInfo Probe()
    {
        if (!X86Base.IsSupported)
        {
            return new HostProcessorInfo(null, null, null, [.. ArmSets()]);
        }

        uint highest = (uint)X86Base.CpuId(unchecked((int)0x8000_0000), 0).Eax;
        int? widths = highest >= 0x8000_0008 ? X86Base.CpuId(unchecked((int)0x8000_0008), 0).Eax : null;
        return new HostProcessorInfo(
            highest >= 0x8000_0004 ? ReadBrand() : null, widths & 0xff, (widths >> 8) & 0xff, [.. X86Sets(), .. X86Paging(highest)]);
    }

    private static string ReadBrand()
    {
        Span<int> words = stackalloc int[12];
        for (int i = 0; i < 3; i++)
        {
            (words[4 * i], words[(4 * i) + 1], words[(4 * i) + 2], words[(4 * i) + 3]) =
                X86Base.CpuId(unchecked((int)0x8000_0002) + i, 0);
        }

        return Encoding.ASCII.GetString(MemoryMarshal.AsBytes(words)).Trim('\0', ' ');
    }

    private static IEnumerable<string> X86Sets() => Named(
    [
        ("sse4_2", Sse42.IsSupported), ("popcnt", Popcnt.IsSupported), ("aes", X86Aes.IsSupported), ("pclmulqdq", Pclmulqdq.IsSupported),
        ("avx", Avx.IsSupported), ("avx2", Avx2.IsSupported), ("fma", Fma.IsSupported), ("bmi1", Bmi1.IsSupported),
        ("bmi2", Bmi2.IsSupported), ("abm", Lzcnt.IsSupported), ("avx512f", Avx512F.IsSupported),
    ]);

    // SDM Vol. 2A, CPUID: leaves 1, 7 and 80000001H.
    private static IEnumerable<string> X86Paging(uint highestExtended)
    {
        int highest = X86Base.CpuId(0, 0).Eax;
        (_, _, int basic, _) = X86Base.CpuId(1, 0);
        (_, int seven, int sevenC, _) = highest >= 7 ? X86Base.CpuId(7, 0) : default;
        (_, _, int extendedC, int extended) = highestExtended >= 0x8000_0001 ? X86Base.CpuId(unchecked((int)0x8000_0001), 0) : default;
        return Named(
        [
            ("pcid", Bit(basic, 17)), ("invpcid", Bit(seven, 10)), ("smep", Bit(seven, 7)), ("smap", Bit(seven, 20)),
            ("pku", Bit(sevenC, 3)), ("la57", Bit(sevenC, 16)), ("nx", Bit(extended, 20)), ("pdpe1gb", Bit(extended, 26)),
            ("vmx", Bit(basic, 5)), ("svm", Bit(extendedC, 2)), ("hypervisor", Bit(basic, 31)),
        ]);
    }

    private static IEnumerable<string> ArmSets() => Named(
    [
        ("asimd", AdvSimd.IsSupported), ("aes", ArmAes.IsSupported), ("crc32", Crc32.IsSupported),
        ("sha2", Sha256.IsSupported), ("asimddp", Dp.IsSupported),
    ]);

    private static bool Bit(int word, int bit) => ((word >> bit) & 1) != 0;

    private static IEnumerable<string> Named((string Name, bool Present)[] features) =>
        features.Where(feature => feature.Present).Select(feature => feature.Name);
}
