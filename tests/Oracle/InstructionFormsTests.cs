using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class InstructionFormsTests
{
    private static readonly FormOptions Everything = new(StackPointer: true, AbsoluteAddress: 0x1234_5678_9ABC);

    [TestCase("alu", 184, 12127)]
    [TestCase("shift", 96, 3632)]
    [TestCase("double shift", 12, 864)]
    [TestCase("bit test", 24, 2313)]
    [TestCase("bit scan", 9, 648)]
    [TestCase("multiply", 17, 820)]
    [TestCase("divide", 8, 172)]
    [TestCase("move", 52, 2288)]
    [TestCase("exchange", 17, 1335)]
    [TestCase("set", 16, 368)]
    [TestCase("conditional move", 48, 3456)]
    [TestCase("sign extension", 6, 6)]
    [TestCase("flags", 7, 7)]
    [TestCase("stack", 14, 163)]
    [TestCase("string", 20, 96)]
    [TestCase("sse", 64, 2520)]
    [TestCase("sse2", 160, 7054)]
    public void FamiliesHaveTheirOpcodesAndForms(string family, int opcodes, int forms)
    {
        InstructionFamily named = InstructionFamilies.Named(family);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(named.Codes, Has.Count.EqualTo(opcodes));
            Assert.That(InstructionForms.Of(named, new FormOptions()).Count(), Is.EqualTo(forms));
        }
    }

    [TestCaseSource(typeof(InstructionFamilies), nameof(InstructionFamilies.All))]
    public void EveryFormDecodesToWhatItWas(InstructionFamily family)
    {
        List<string> wrong = [];
        foreach (InstructionForm form in InstructionForms.Of(family, Everything))
        {
            Instruction decoded = Decode(form.Bytes);
            if (decoded.Code != form.Instruction.Code || decoded.Length != form.Bytes.Length || decoded.ToString() != form.Instruction.ToString())
            {
                wrong.Add($"{form.Instruction.Code} {form.Instruction} <> {decoded.Code} {decoded} ({Convert.ToHexString(form.Bytes)})");
            }
        }

        Assert.That(wrong, Is.Empty);
    }

    [TestCaseSource(typeof(InstructionFamilies), nameof(InstructionFamilies.All))]
    public void EveryOpcodeHasAForm(InstructionFamily family)
    {
        Code[] covered = [.. InstructionForms.Of(family, Everything).Select(form => form.Instruction.Code).Distinct()];
        Assert.That(covered, Is.EquivalentTo(family.Codes));
    }

    [TestCase(Code.Add_rm8_r8, "add al,al")]
    [TestCase(Code.Add_rm8_r8, "add ah,ah")]
    [TestCase(Code.Add_rm8_r8, "add sil,sil")]
    [TestCase(Code.Add_rm8_r8, "add [rbx],al")]
    [TestCase(Code.Add_rm8_r8, "lock add [rbx],al")]
    [TestCase(Code.Add_rm64_r64, "add r15,r15")]
    [TestCase(Code.Add_rm32_imm8, "add ebx,0FFFFFF80h")]
    [TestCase(Code.Mov_r64_imm64, "mov rax,0")]
    [TestCase(Code.Xchg_r64_RAX, "xchg rcx,rax")]
    [TestCase(Code.Movsb_m8_m8, "rep movsb")]
    [TestCase(Code.Scasb_AL_m8, "repne scasb")]
    [TestCase(Code.Addps_xmm_xmmm128, "addps xmm15,xmm15")]
    [TestCase(Code.Addps_xmm_xmmm128, "addps xmm0,[rbx]")]
    public void FormsThatMustBeThere(Code code, string form) =>
        Assert.That(InstructionForms.Of(code, new FormOptions()).Select(each => each.Instruction.ToString()), Does.Contain(form));

    [Test]
    public void TheStackPointerAndAbsoluteAddressesAreOnRequest()
    {
        InstructionFamily move = InstructionFamilies.Named("move");
        bool UsesStackPointer(FormOptions options) => InstructionForms.Of(move, options).Any(form =>
            form.Instruction.Op0Register.GetFullRegister() == Register.RSP || form.Instruction.Op1Register.GetFullRegister() == Register.RSP);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(UsesStackPointer(new FormOptions()), Is.False);
            Assert.That(UsesStackPointer(new FormOptions(StackPointer: true)), Is.True);
            Assert.That(InstructionForms.Of(Code.Mov_RAX_moffs64, new FormOptions()), Is.Empty);
            Assert.That(InstructionForms.Of(Code.Mov_RAX_moffs64, Everything).Single().Instruction.MemoryDisplacement64, Is.EqualTo(0x1234_5678_9ABC));
        }
    }

    [Test]
    public void MemoryFormsUseEveryAddressingShape()
    {
        Instruction[] loads = [.. InstructionForms.Of(Code.Mov_r64_rm64, new FormOptions())
            .Select(form => form.Instruction).Where(instruction => instruction.Op1Kind == OpKind.Memory)];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(loads.Select(load => load.MemoryBase).Distinct(),
                Is.EquivalentTo([Register.RBX, Register.R13, Register.R12, Register.R9, Register.RBP, Register.RSI, Register.EBX]));
            Assert.That(loads.Select(load => load.MemoryIndexScale).Distinct(), Is.EquivalentTo([1, 2, 4, 8]));
            Assert.That(loads.Select(load => load.MemoryDisplacement64).Distinct().Count(), Is.EqualTo(8));
            Assert.That(loads, Is.All.Matches<Instruction>(load => !load.IsIPRelativeMemoryOperand));
        }
    }

    private static Instruction Decode(byte[] bytes)
    {
        Decoder decoder = Decoder.Create(64, bytes);
        decoder.Decode(out Instruction instruction);
        return instruction;
    }
}
