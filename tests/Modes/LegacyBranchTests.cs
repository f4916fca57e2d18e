using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Near branches of 16-bit and 32-bit code, with operands and addresses of either size (SDM Vol. 2, "Jcc", "JMP", "LOOP/LOOPcc", "CALL",
/// "RET"; Vol. 1, appendix B).
/// </summary>
[TestFixture]
public sealed class LegacyBranchTests
{
    private const LegacyMode Real = LegacyMode.Real, P16 = LegacyMode.Protected16, P32 = LegacyMode.Protected32, C32 = LegacyMode.Compatibility32;
    private const uint Base = LegacyMachine.CodeBase, Stack = LegacyMachine.StackBase + LegacyMachine.StackTop;

    /// <summary>Where branches stand, and where they go: forward, and back beyond 0, which operands of 16 bits make the segment's end.</summary>
    private const uint Start = 0x10, Forward = 0x60, Wrapped = 0xFFE0;

    private const uint High = 0xABCD_0000;

    /// <summary>The opcodes with a displacement of a byte. With a longer one Jcc is 10H further in the map of 0FH, and JMP is E9H.</summary>
    private static readonly (string Name, byte Opcode, Func<bool, bool, bool, bool, bool, bool> Taken)[] Conditions =
    [
        ("JO", 0x70, (cf, pf, zf, sf, of) => of), ("JNO", 0x71, (cf, pf, zf, sf, of) => !of),
        ("JB", 0x72, (cf, pf, zf, sf, of) => cf), ("JAE", 0x73, (cf, pf, zf, sf, of) => !cf),
        ("JE", 0x74, (cf, pf, zf, sf, of) => zf), ("JNE", 0x75, (cf, pf, zf, sf, of) => !zf),
        ("JBE", 0x76, (cf, pf, zf, sf, of) => cf || zf), ("JA", 0x77, (cf, pf, zf, sf, of) => !cf && !zf),
        ("JS", 0x78, (cf, pf, zf, sf, of) => sf), ("JNS", 0x79, (cf, pf, zf, sf, of) => !sf),
        ("JP", 0x7A, (cf, pf, zf, sf, of) => pf), ("JNP", 0x7B, (cf, pf, zf, sf, of) => !pf),
        ("JL", 0x7C, (cf, pf, zf, sf, of) => sf != of), ("JGE", 0x7D, (cf, pf, zf, sf, of) => sf == of),
        ("JLE", 0x7E, (cf, pf, zf, sf, of) => zf || sf != of), ("JG", 0x7F, (cf, pf, zf, sf, of) => !zf && sf == of),
        ("JMP", 0xEB, (cf, pf, zf, sf, of) => true),
    ];

    /// <summary>Opcodes that look at CX or ECX, whether they count it down, and what else they ask for.</summary>
    private static readonly (string Name, byte Opcode, bool Counts, Func<bool, bool> Asks)[] Counted =
    [
        ("LOOPNE", 0xE0, true, zf => !zf), ("LOOPE", 0xE1, true, zf => zf), ("LOOP", 0xE2, true, _ => true), ("JCXZ, JECXZ", 0xE3, false, _ => true),
    ];

    private static readonly uint[] Counts = [0, 1, 2, 0x1_0000, 0x1_0001, High, High + 1, 0xFFFF, uint.MaxValue];

    /// <summary>
    /// CALL, RET and the indirect JMP. All go to 60H, those of 16 bits with a high half to be dropped. Words is what they pop, or less than
    /// 0 for what they push; null for RET 6.
    /// </summary>
    private static readonly (string Name, byte[] Opcode, bool IsRelative, int? Words)[] Absolute =
    [
        ("JMP EAX", [0xFF, 0xE0], false, 0), ("CALL EAX", [0xFF, 0xD0], false, -1), ("CALL", [0xE8], true, -1),
        ("JMP by memory", [0xFF, 0x23], false, 0), ("CALL by memory", [0xFF, 0x13], false, -1),
        ("RET", [0xC3], false, 1), ("RET 6", [0xC2, 0x06, 0x00], false, null),
    ];

    private static IEnumerable<bool> Both => [false, true];

    [Test]
    public void ConditionsAreThoseOfTheSdm([Values(Real, P16, P32, C32)] LegacyMode mode)
    {
        using LegacyMachine machine = new(mode);
        foreach ((string name, byte opcode, var taken) in Conditions)
        {
            foreach ((byte[] bytes, uint target) in RelativeForms(machine.CodeBits, opcode))
            {
                for (int set = 0; set < 32; set++)
                {
                    bool Flag(int bit) => (set >> bit & 1) != 0;
                    ulong flags = (Flag(0) ? Rflags.CF : 0) | (Flag(1) ? Rflags.PF : 0) | (Flag(2) ? Rflags.ZF : 0) | (Flag(3) ? Rflags.SF : 0) | (Flag(4) ? Rflags.OF : 0);
                    string what = $"{name} [{Convert.ToHexString(bytes)}], flags {flags:X}H";
                    Assert.That(Run(machine, bytes, target, flags), Is.EqualTo(taken(Flag(0), Flag(1), Flag(2), Flag(3), Flag(4))), what);
                    Assert.That(machine.Cpu.Rflags & (Rflags.CF | Rflags.PF | Rflags.ZF | Rflags.SF | Rflags.OF), Is.EqualTo(flags), what);
                }
            }
        }
    }

    [Test]
    public void CountersHaveTheWidthOfAddresses([Values(Real, P16, P32, C32)] LegacyMode mode)
    {
        using LegacyMachine machine = new(mode);
        foreach ((string name, byte opcode, bool counts, var asks) in Counted)
        {
            foreach (bool otherAddress in Both)
            {
                uint mask = otherAddress == (machine.CodeBits == 32) ? ushort.MaxValue : uint.MaxValue;
                foreach ((byte[] bytes, uint target) in RelativeForms(machine.CodeBits, opcode, otherAddress))
                {
                    foreach (uint count in Counts)
                    {
                        foreach (bool zf in Both)
                        {
                            machine.State.Gpr[GeneralRegister.Rcx] = count;
                            bool isTaken = Run(machine, bytes, target, zf ? Rflags.ZF : 0);
                            uint left = counts ? (count & ~mask) | ((count - 1) & mask) : count;
                            Assert.That(((uint)machine.State.Gpr[GeneralRegister.Rcx], isTaken), Is.EqualTo((left, asks(zf) && (left & mask) != 0 == counts)),
                                $"{name} [{Convert.ToHexString(bytes)}], ECX {count:X}H, ZF {zf}");
                        }
                    }
                }
            }
        }
    }

    [Test]
    public void ABranchOf32BitsBeyondTheSegmentIsRefused([Values(Real, P16, P32)] LegacyMode mode)
    {
        foreach (byte opcode in Conditions.Select(row => row.Opcode).Concat(Counted.Select(row => row.Opcode)))
        {
            foreach (ulong flags in (ulong[])[0, Rflags.ZF | Rflags.CF | Rflags.SF | Rflags.PF, Rflags.OF])
            {
                using LegacyMachine machine = new(mode);
                byte[] bytes = Relative(machine.CodeBits, [], opcode, wide: true, near: false, Wrapped);
                machine.State.Gpr[GeneralRegister.Rcx] = opcode == 0xE3 ? 0u : 5;
                bool isTaken = Run(machine, bytes, Wrapped, flags);
                bool asked = opcode switch
                {
                    0xE0 => (flags & Rflags.ZF) == 0,
                    0xE1 => (flags & Rflags.ZF) != 0,
                    0xE2 or 0xE3 => true,
                    _ => Array.Find(Conditions, row => row.Opcode == opcode).Taken(
                        (flags & Rflags.CF) != 0, (flags & Rflags.PF) != 0, (flags & Rflags.ZF) != 0, (flags & Rflags.SF) != 0, (flags & Rflags.OF) != 0),
                };
                string what = $"[{Convert.ToHexString(bytes)}], flags {flags:X}H";
                Assert.That((machine.Handled, isTaken), Is.EqualTo((asked ? 13 : (int?)null, false)), what);
                if (asked)
                {
                    Assert.That(machine.Frame(mode == Real ? 0 : 1), Is.EqualTo(Start), what);
                    Assert.That(machine.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(opcode == 0xE3 ? 0 : 5), what);
                }
            }
        }
    }

    [Test]
    public void TransfersTakeAndPushAWordOfTheOperandsSize([Values(Real, P16, P32, C32)] LegacyMode mode, [Values] bool wide)
    {
        foreach ((string name, byte[] opcode, bool isRelative, int? words) in Absolute)
        {
            using LegacyMachine machine = new(mode);
            byte[] bytes = AbsoluteForm(machine.CodeBits, opcode, isRelative, wide, Forward);
            uint target = wide ? Forward : High | Forward;
            machine.State.Gpr[GeneralRegister.Rax] = target;
            // [BP+DI] is what a ModRM of 23H or 13H means to 16-bit addresses, [EBX] to those of 32.
            machine.State.Gpr[GeneralRegister.Rbp] = 0x200;
            machine.State.Gpr[GeneralRegister.Rbx] = 0x200;
            machine.SetDword(LegacyMachine.StackBase + 0x200, target);
            machine.SetDword(LegacyMachine.DataBase + 0x200, target);
            machine.SetDword(Stack, target);
            machine.SetDword(Stack - 4, 0x7777_7777);
            uint width = wide ? 4u : 2;
            string what = $"{name} [{Convert.ToHexString(bytes)}]";
            Assert.That(Run(machine, bytes, Forward, 0), Is.True, what);
            Assert.That(machine.State.Gpr[GeneralRegister.Rsp], Is.EqualTo(LegacyMachine.StackTop + (words is int count ? count * width : width + 6)), what);
            uint after = Start + (uint)bytes.Length;
            Assert.That(machine.Dword(Stack - 4), Is.EqualTo(words != -1 ? 0x7777_7777 : wide ? after : (after << 16) | 0x7777), what);
        }
    }

    /// <summary>The tables above leave out no near branch of 16-bit and 32-bit code.</summary>
    [Test]
    public void EveryNearBranchIsHere()
    {
        HashSet<Code> seen = [];
        foreach (int bits in (int[])[16, 32])
        {
            IEnumerable<byte[]> relative = Conditions.SelectMany(row => RelativeForms(bits, row.Opcode))
                .Concat(Counted.SelectMany(row => Both.SelectMany(other => RelativeForms(bits, row.Opcode, other)))).Select(form => form.Bytes);
            IEnumerable<byte[]> absolute = Absolute.SelectMany(row => Both.Select(wide => AbsoluteForm(bits, row.Opcode, row.IsRelative, wide, Forward)));
            seen.UnionWith(relative.Concat(absolute).Select(bytes => Iced.Intel.Decoder.Create(bits, bytes).Decode().Code));
        }

        Mnemonic[] mnemonics = [.. seen.Select(code => code.Mnemonic()).Distinct()];
        Code[] all =
        [
            .. Enum.GetValues<Code>().Where(code => mnemonics.Contains(code.Mnemonic()) && !code.IsJmpFar() && !code.IsCallFar() && !code.IsJmpFarIndirect() && !code.IsCallFarIndirect()
                && code.ToOpCode() is { IsInstruction: true, Mode32: true, DecoderOption: DecoderOptions.None }),
        ];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(mnemonics, Has.Length.EqualTo(24));
            Assert.That(seen, Is.EquivalentTo(all));
        }
    }

    /// <summary>A branch with every size of operand and of displacement, and where it goes.</summary>
    private static IEnumerable<(byte[] Bytes, uint Target)> RelativeForms(int bits, byte opcode, bool otherAddress = false)
    {
        foreach (bool wide in Both)
        {
            foreach (bool near in Both)
            {
                if (!near || opcode < 0x80 || opcode == 0xEB)
                {
                    foreach (uint target in wide ? (uint[])[Forward] : [Forward, Wrapped])
                    {
                        yield return (Relative(bits, otherAddress ? [0x67] : [], opcode, wide, near, target), target);
                    }
                }
            }
        }
    }

    private static byte[] Relative(int bits, byte[] prefixes, byte opcode, bool wide, bool near, uint target)
    {
        byte[] start = near ? (opcode == 0xEB ? [0xE9] : [0x0F, (byte)(opcode + 0x10)]) : [opcode];
        return WithDisplacement([.. prefixes, .. OperandSize(bits, wide), .. start], near ? wide ? 4 : 2 : 1, target);
    }

    private static byte[] AbsoluteForm(int bits, byte[] opcode, bool isRelative, bool wide, uint target)
    {
        byte[] bytes = [.. OperandSize(bits, wide), .. opcode];
        return isRelative ? WithDisplacement(bytes, wide ? 4 : 2, target) : bytes;
    }

    private static byte[] OperandSize(int bits, bool wide) => wide == (bits == 32) ? [] : [0x66];

    private static byte[] WithDisplacement(byte[] bytes, int size, uint target)
    {
        int displacement = (short)target - (int)(Start + bytes.Length + size);
        return [.. bytes, .. BitConverter.GetBytes(displacement)[..size]];
    }

    /// <summary>Runs a branch up to a HLT; whether it was the target's.</summary>
    private static bool Run(LegacyMachine machine, byte[] bytes, uint target, ulong flags)
    {
        machine.Write(Base + Start, [.. bytes, 0xF4]);
        machine.Write(Base + target, [0xB3, 0x42, 0xF4]);
        machine.State.Rip = Start;
        machine.State.Gpr[GeneralRegister.Rbx] &= ~0xFFul;
        machine.Cpu.Rflags = flags | 2;
        StopReport report = machine.Machine.Run(100);
        Assert.That(report.Reason, Is.EqualTo(StopReason.Halted), $"[{Convert.ToHexString(bytes)}]: {report}");
        bool isTaken = (byte)machine.State.Gpr[GeneralRegister.Rbx] == 0x42;
        Assert.That(machine.Handled is null ? machine.State.Rip : 0, Is.EqualTo(machine.Handled is not null ? 0 : isTaken ? target + 3 : Start + (uint)bytes.Length + 1), $"[{Convert.ToHexString(bytes)}]");
        return isTaken;
    }
}
