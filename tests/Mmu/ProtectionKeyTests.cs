using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Protection keys of user and supervisor pages (SDM Vol. 3A, 5.6.2, and the PK flag of 5.7).</summary>
[TestFixture]
internal sealed class ProtectionKeyTests
{
    private const ulong P = 1, RW = 2, US = 4, PS = 128;
    private const int KeyShift = 59;
    private const ulong WP = 1 << 16, PKE = 1 << 22, SMAP = 1 << 21, PKS = 1 << 24;

    /// <summary>Every combination of what the rule looks at, against the rule as the SDM writes it.</summary>
    [Test]
    public void KeysAllowWhatTheSdmSays()
    {
        int cases = 0, forbidden = 0;
        for (int bits = 0; bits < 1 << 9; bits++)
        {
            bool accessDisable = Bit(bits, 0), writeDisable = Bit(bits, 1), userPage = Bit(bits, 2), writable = Bit(bits, 3);
            bool wp = Bit(bits, 4), pke = Bit(bits, 5), smap = Bit(bits, 6), user = Bit(bits, 7), large = Bit(bits, 8);
            foreach (AccessKind kind in Enum.GetValues<AccessKind>())
            {
                for (int key = 0; key < 16; key += 5)
                {
                    uint pkru = (accessDisable ? 1u << (2 * key) : 0) | (writeDisable ? 2u << (2 * key) : 0);
                    PagingState state = new(
                        0x8000_0001 | (wp ? WP : 0), 0x1000, 0x20 | (pke ? PKE : 0) | (smap ? SMAP : 0), 0xD00, false, 40, Pkru: pkru);
                    ulong rights = P | (userPage ? US : 0) | (writable ? RW : 0) | ((ulong)key << KeyShift);
                    WalkResult result = Walk(state, rights, large, new WalkAccess(kind, user));

                    bool data = kind != AccessKind.Execute, write = kind == AccessKind.Write;
                    bool byKey = pke && data && userPage && (accessDisable || (writeDisable && write && (wp || user)));
                    bool byRights = (user && !userPage) || (!user && userPage && smap && data) || (write && !writable && (user || wp));
                    string name = $"{state}, {kind}, user {user}, entry {rights:x}";
                    Assert.That(result.Succeeded, Is.EqualTo(!byKey && !byRights), name);
                    if (!result.Succeeded)
                    {
                        Assert.That((result.ErrorCode & PageFaultCode.ProtectionKey) != 0, Is.EqualTo(byKey), name);
                        Assert.That((result.ErrorCode & PageFaultCode.Present) != 0, name);
                        Assert.That(result.Failure == WalkFailure.ForbiddenByProtectionKey, Is.EqualTo(byKey && !byRights), name);
                    }

                    forbidden += byKey ? 1 : 0;
                    cases++;
                }
            }
        }

        Assert.That((cases, forbidden > 500), Is.EqualTo((512 * 3 * 4, true)));
    }

    /// <summary>The same for supervisor pages: IA32_PKRS binds supervisor accesses, and PKRU has no part in it.</summary>
    [Test]
    public void KeysOfSupervisorPagesAllowWhatTheSdmSays()
    {
        int cases = 0, forbidden = 0;
        for (int bits = 0; bits < 1 << 10; bits++)
        {
            bool accessDisable = Bit(bits, 0), writeDisable = Bit(bits, 1), userPage = Bit(bits, 2), writable = Bit(bits, 3), wp = Bit(bits, 4);
            bool pks = Bit(bits, 5), pke = Bit(bits, 6), isImplicit = Bit(bits, 7), user = Bit(bits, 8), la57 = Bit(bits, 9);
            foreach (AccessKind kind in Enum.GetValues<AccessKind>())
            {
                for (int key = 0; key < 16; key += 5)
                {
                    uint rights = (accessDisable ? 1u << (2 * key) : 0) | (writeDisable ? 2u << (2 * key) : 0);
                    PagingState state = new(
                        0x8000_0001 | (wp ? WP : 0), 0x1000, 0x20 | (pke ? PKE : 0) | (pks ? PKS : 0) | (la57 ? PagingState.Cr4LA57 : 0), 0xD00, false, 40,
                        Pkru: userPage ? 0 : uint.MaxValue, Pkrs: userPage ? uint.MaxValue : rights);
                    ulong entry = P | (userPage ? US : 0) | (writable ? RW : 0) | ((ulong)key << KeyShift);
                    WalkAccess access = new(kind, user, isImplicit);
                    WalkResult result = Walk(state, entry, large: false, access);

                    bool byUser = user && !isImplicit, write = kind == AccessKind.Write;
                    bool byKey = pks && kind != AccessKind.Execute && !userPage && (accessDisable || (writeDisable && write && wp));
                    bool byRights = (byUser && !userPage) || (write && !writable && (byUser || wp));
                    string name = $"{state}, {access}, entry {entry:x}";
                    Assert.That(result.Succeeded, Is.EqualTo(!byKey && !byRights), name);
                    if (!result.Succeeded)
                    {
                        Assert.That((result.ErrorCode & PageFaultCode.ProtectionKey) != 0, Is.EqualTo(byKey), name);
                        Assert.That(result.Failure == WalkFailure.ForbiddenByProtectionKey, Is.EqualTo(byKey && !byRights), name);
                        Assert.That(result.SupervisorKey, Is.EqualTo(result.Failure == WalkFailure.ForbiddenByProtectionKey), name);
                    }

                    forbidden += byKey ? 1 : 0;
                    cases++;
                }
            }
        }

        Assert.That((cases, forbidden), Is.EqualTo((1024 * 3 * 4, 1152)));
    }

    [Test]
    public void OutsideLongModeThereAreNoKeys()
    {
        PagingState legacy = new(0x8000_0001, 0x1000, PKE, 0, false, 40, Pkru: uint.MaxValue);
        PagingState both = legacy with { Cr4 = PKE | PKS };
        Assert.That((both.Mode, both.PKE, both.PKS), Is.EqualTo((PagingMode.Bits32, false, false)));
    }

    [Test]
    public void TheFaultNamesTheKey()
    {
        PagingState state = new(0x8000_0001, 0x1000, 0x20 | PKE, 0xD00, false, 40, Pkru: 1u << 14);
        WalkAccess access = new(AccessKind.Read, User: true);
        WalkResult result = Walk(state, P | US | (7UL << KeyShift), large: false, access);
        Assert.That(WalkDescription.Describe(result, default, access, state), Does.EndWith("PKRU forbids a user read of a user page with protection key 7: AD7 is 1."));
    }

    private static bool Bit(int bits, int index) => (bits >> index & 1) != 0;

    private static WalkResult Walk(in PagingState state, ulong leaf, bool large, WalkAccess access)
    {
        int levels = state.Mode == PagingMode.FiveLevel ? 5 : 4;
        SparseTables tables = new(levels);
        for (int i = 0; i < levels; i++)
        {
            tables.Addresses[i] = (ulong)(i + 1) * 0x1000;
            tables.Words[i] = (ulong)(i + 2) * 0x1000 | P | RW | US;
        }

        tables.Words[levels - (large ? 2 : 1)] = leaf | (large ? PS : 0);
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref tables, state, new Gva(0), access, ref nobody);
    }
}
