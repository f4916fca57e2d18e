using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// The transcendental instructions against results computed to 120 decimal digits and rounded to nearest (for angles, after reduction by
/// the 66-bit pi of SDM Vol. 1, 8.3.8): not only within the unit in the last place that the SDM allows, but the nearest number.
/// </summary>
[TestFixture]
public sealed class X87FunctionTests
{
    [TestCase(Mnemonic.Fsin, 0xBFE9, 0xADE47DDEBDE5C099u, 0x3FFF, 0x8000000000000000u, 0xBFE9, 0xADE47DDEBDE268C2u)]
    [TestCase(Mnemonic.Fcos, 0xBFF7, 0xEBB6A198F1446BEAu, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0xFFFE4DEEDCB8A4BFu)]
    [TestCase(Mnemonic.Fptan, 0xBFF5, 0xC3D85892EC1D7DA0u, 0x3FFF, 0x8000000000000000u, 0xBFF5, 0xC3D862202389BBADu)]
    [TestCase(Mnemonic.Fsin, 0x3FFD, 0xF8BFE9BAC6A53877u, 0x3FFF, 0x8000000000000000u, 0x3FFD, 0xEF14260BE4DC3691u)]
    [TestCase(Mnemonic.Fcos, 0x3FFE, 0xF350B51D0D464138u, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0x94D12D604B4DAB74u)]
    [TestCase(Mnemonic.Fptan, 0x3FFC, 0xBC0A74515F2DD97Fu, 0x3FFF, 0x8000000000000000u, 0x3FFC, 0xBE2EF3831ECD2652u)]
    [TestCase(Mnemonic.Fsin, 0xBFFF, 0xC599F4B4617959CEu, 0x3FFF, 0x8000000000000000u, 0xBFFE, 0xFFE80D0081D22BB0u)]
    [TestCase(Mnemonic.Fcos, 0x4001, 0x81ADB9CC3FD42359u, 0x3FFF, 0x8000000000000000u, 0xBFFE, 0x9CF1B7804B31CD1Cu)]
    [TestCase(Mnemonic.Fptan, 0xBFFF, 0xA3C6140E687C966Cu, 0x3FFF, 0x8000000000000000u, 0xC000, 0xD571B0AEA63A0AEEu)]
    [TestCase(Mnemonic.Fsin, 0x4010, 0xE186C5BB28DBD25Eu, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0x9367A9AAC7D9EAF9u)]
    [TestCase(Mnemonic.Fcos, 0xC006, 0xCF18348E238642EAu, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0xF80180ABF0654D49u)]
    [TestCase(Mnemonic.Fptan, 0xC012, 0x90ED44BC206F5C66u, 0x3FFF, 0x8000000000000000u, 0xBFFE, 0xC513676F5A3434EFu)]
    [TestCase(Mnemonic.Fsin, 0x4027, 0xE3051E55359EEEFBu, 0x3FFF, 0x8000000000000000u, 0x3FFC, 0xC40D70163B7DC681u)]
    [TestCase(Mnemonic.Fcos, 0x402C, 0x954F5D06DF561D80u, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0xBC358C4E119052C4u)]
    [TestCase(Mnemonic.Fptan, 0x4031, 0x99753494F6236BF2u, 0x3FFF, 0x8000000000000000u, 0xBFFF, 0xE053BFA9E31C408Cu)]
    [TestCase(Mnemonic.Fsin, 0x4000, 0xC90FDAA22168C235u, 0x3FFF, 0x8000000000000000u, 0xBFBF, 0x8000000000000000u)]
    [TestCase(Mnemonic.Fcos, 0x3FFF, 0xC90FDAA22168C235u, 0x3FFF, 0x8000000000000000u, 0xBFBE, 0x8000000000000000u)]
    [TestCase(Mnemonic.F2xm1, 0x3FD4, 0xD6C32622E049548Eu, 0x3FFF, 0x8000000000000000u, 0x3FD4, 0x94DCA460875FB3E7u)]
    [TestCase(Mnemonic.F2xm1, 0xBFD7, 0x9740EB36346C6E2Bu, 0x3FFF, 0x8000000000000000u, 0xBFD6, 0xD1AE9764F1E58C7Au)]
    [TestCase(Mnemonic.F2xm1, 0x3FF1, 0xFB88474BF770C226u, 0x3FFF, 0x8000000000000000u, 0x3FF1, 0xAE5B2E819470F4FAu)]
    [TestCase(Mnemonic.F2xm1, 0xBFF7, 0x82C2D00E4C7D6DF0u, 0x3FFF, 0x8000000000000000u, 0xBFF6, 0xB505D2D724045F96u)]
    [TestCase(Mnemonic.F2xm1, 0x3FFD, 0x953E0C406A375391u, 0x3FFF, 0x8000000000000000u, 0x3FFC, 0xE546C809D244406Cu)]
    [TestCase(Mnemonic.F2xm1, 0xBFFC, 0x88567F8043892DFCu, 0x3FFF, 0x8000000000000000u, 0xBFFB, 0xB48B98691E2F4C5Cu)]
    [TestCase(Mnemonic.F2xm1, 0x3FFE, 0xE8A092C24D25DEB3u, 0x3FFF, 0x8000000000000000u, 0x3FFE, 0xE09A394FB401E622u)]
    [TestCase(Mnemonic.F2xm1, 0xBFFE, 0xD6C68CA598921396u, 0x3FFF, 0x8000000000000000u, 0xBFFD, 0xE1C5075BAB1D5771u)]
    [TestCase(Mnemonic.Fyl2x, 0x3FFC, 0xA7ACB39310E6D8E6u, 0x3FFE, 0xD92448C87B121DC5u, 0xC000, 0x8DB604F9B36101EDu)]
    [TestCase(Mnemonic.Fyl2x, 0x3FFE, 0xBD98906F2F4D4C86u, 0x3FFC, 0xA0CA90FF0E979CF3u, 0xBFFB, 0x8B5088D9C9BCEEC2u)]
    [TestCase(Mnemonic.Fyl2x, 0x3FFF, 0xDFF94880F3001CEEu, 0x4000, 0xC647CAF704A012E8u, 0x4000, 0xA00C972772A4D73Du)]
    [TestCase(Mnemonic.Fyl2x, 0x403E, 0xB02CBDEE5DBE4409u, 0xBFFA, 0x85FB277B73EC28D0u, 0xC000, 0x84DA37C8E1184A12u)]
    [TestCase(Mnemonic.Fyl2x, 0x286B, 0xFA4355B99FABA827u, 0xBFFD, 0xE0BBF8891E782196u, 0x400A, 0xA58FB4EA01047A09u)]
    [TestCase(Mnemonic.Fyl2x, 0x3FFF, 0x8000000000000001u, 0x3FFF, 0x8000000000000000u, 0x3FC0, 0xB8AA3B295C17F0BBu)]
    [TestCase(Mnemonic.Fyl2x, 0x3FFE, 0xFFFFFFFFFFFFFFFFu, 0x3FFF, 0x8000000000000000u, 0xBFBF, 0xB8AA3B295C17F0BCu)]
    [TestCase(Mnemonic.Fyl2xp1, 0x3FCA, 0xE8E526E2EDFDE416u, 0xC001, 0xC199782D58296818u, 0xBFCD, 0xFE18C7457EEBE011u)]
    [TestCase(Mnemonic.Fyl2xp1, 0xBFCE, 0xC3296DE8E488B6C8u, 0x4001, 0xCB7D5DBD1BA95A54u, 0xBFD1, 0xDFCE5C8F66736504u)]
    [TestCase(Mnemonic.Fyl2xp1, 0x3FF6, 0xA5DEDD80DC14ED57u, 0x4000, 0xFD3A4B49F21FF5EBu, 0x3FF8, 0xEC68FF81AB4FC2F0u)]
    [TestCase(Mnemonic.Fyl2xp1, 0xBFED, 0xAB9D62CD355F2AF4u, 0xC003, 0xF583E1865CD5061Cu, 0x3FF2, 0xED72B7074ECC6A85u)]
    [TestCase(Mnemonic.Fyl2xp1, 0x3FFC, 0xA3495D0157079670u, 0xC002, 0xA7FE5FA117921E6Cu, 0xC000, 0x8F6F44EBF4E7E434u)]
    [TestCase(Mnemonic.Fyl2xp1, 0xBFFC, 0x96B7977E4E613A36u, 0xBFFB, 0x930E1BA5A07657D6u, 0x3FF9, 0x871C76703561BFD3u)]
    [TestCase(Mnemonic.Fyl2xp1, 0x3FFD, 0xBDECF450FF297D0Eu, 0x3FFA, 0xFE4C280014B9ADB5u, 0x3FF9, 0xE77FD69E736C4A60u)]
    [TestCase(Mnemonic.Fyl2xp1, 0xBFFD, 0x9E610BBC0825C7CCu, 0xC003, 0xE9C40D2858056ED0u, 0x4002, 0xF9A24A4BC8448C89u)]
    [TestCase(Mnemonic.Fpatan, 0x3FFF, 0xD352DE4C74A677C6u, 0x3FFF, 0xFD5187D60E42D43Cu, 0x3FFE, 0xE02301A29AD68182u)]
    [TestCase(Mnemonic.Fpatan, 0xBFFF, 0xBF2D1C98CD39E158u, 0x3FFF, 0xFD9B4110216D27A2u, 0x4000, 0x8DDF2366DDF802B7u)]
    [TestCase(Mnemonic.Fpatan, 0x4002, 0xF2C061AFA161D909u, 0xBFFC, 0x959BEC0B1B4C24C2u, 0xBFF8, 0x9DC4F2536EC7799Eu)]
    [TestCase(Mnemonic.Fpatan, 0xC002, 0x931A78B75F7CC5D8u, 0x3FFC, 0x9212EBAD4B78DC3Du, 0x4000, 0xC811AA81509254DBu)]
    [TestCase(Mnemonic.Fpatan, 0x3FFC, 0xFFE90F84EC08693Cu, 0xC002, 0xC2D743B8F9DBA1DBu, 0xBFFF, 0xC66F7889270210A6u)]
    [TestCase(Mnemonic.Fpatan, 0xBFFC, 0xBE7BFE7BF5CB2AFCu, 0xC002, 0xA31398A07AA286ACu, 0xBFFF, 0xCB65D6879CDCB8F1u)]
    [TestCase(Mnemonic.Fpatan, 0x3FFF, 0xB3AF5F1D78573797u, 0xBFD7, 0xB0418F791CD0C151u, 0xBFD6, 0xFB1D5E876AF7EBF4u)]
    [TestCase(Mnemonic.Fpatan, 0xBFFF, 0xF7F459DAA080C6A5u, 0x3FD7, 0x8B68DAD62E1C5D3Au, 0x4000, 0xC90FDAA22144C67Du)]
    [TestCase(Mnemonic.Fpatan, 0x3FD7, 0xC1F1619445B61DF2u, 0xBFFF, 0xE49C63461027E5D3u, 0xBFFF, 0xC90FDAA220FC2B5Au)]
    [TestCase(Mnemonic.Fpatan, 0xBFD7, 0xCB32AF91B1D117B7u, 0xBFFF, 0xA72125C9C277AF32u, 0xBFFF, 0xC90FDAA2220461EDu)]
    [TestCase(Mnemonic.Fpatan, 0x4000, 0xDA2C0F1B8F2F3949u, 0xBFFF, 0xBE2AEEF0D5D1CBD0u, 0xBFFD, 0xD26E9129A46C512Eu)]
    [TestCase(Mnemonic.Fpatan, 0xC000, 0xFD8FFC8DC50E2B99u, 0xBFFF, 0xF907B3C6F4F6717Cu, 0xC000, 0xABD90382C12F1D19u)]
    public void TheNearestNumber(Mnemonic mnemonic, int firstSign, ulong first, int secondSign, ulong second, int sign, ulong significand)
    {
        using X87Bench bench = new();
        bench.Fill(new UInt128((ulong)firstSign, first), new UInt128((ulong)secondSign, second));
        bench.Unit.Control = 0x37F;

        bench.Execute(c => Write(c, mnemonic));

        UInt128 result = bench.St(mnemonic == Mnemonic.Fptan ? 1 : 0);
        Assert.That($"{result:x20}", Is.EqualTo($"{new UInt128((ulong)sign, significand):x20}"));
    }

    [Test]
    public void AngleBeyondRangeIsLeftWithC2([Values(Mnemonic.Fsin, Mnemonic.Fcos, Mnemonic.Fptan, Mnemonic.Fsincos)] Mnemonic mnemonic)
    {
        UInt128 large = new(0x3FFF + 63, 1UL << 63);
        using X87Bench bench = new();
        bench.Fill(large);
        bench.Unit.Control = 0x37F;

        bench.Execute(c => Write(c, mnemonic));

        Assert.That((bench.St(0), bench.Status, bench.Unit.Tags), Is.EqualTo((large, X87Bits.C2 | (3u << 11), (byte)(1 << 3))));
    }

    private static void Write(Assembler c, Mnemonic mnemonic)
    {
        switch (mnemonic)
        {
            case Mnemonic.Fsin:
                c.fsin();
                break;
            case Mnemonic.Fcos:
                c.fcos();
                break;
            case Mnemonic.Fsincos:
                c.fsincos();
                break;
            case Mnemonic.Fptan:
                c.fptan();
                break;
            case Mnemonic.Fpatan:
                c.fpatan();
                break;
            case Mnemonic.F2xm1:
                c.f2xm1();
                break;
            case Mnemonic.Fyl2x:
                c.fyl2x();
                break;
            case Mnemonic.Fyl2xp1:
                c.fyl2xp1();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(mnemonic));
        }
    }
}
