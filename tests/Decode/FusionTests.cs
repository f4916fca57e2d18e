using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>An arithmetic instruction and the Jcc after it, run as one operation and one after the other.</summary>
[TestFixture]
public sealed unsafe class FusionTests
{
    private const ulong CodeAddress = 0x40_0000_0000;
    private const ulong CodeFrame = 0x20_0000;
    private const ulong Target = CodeAddress + 0x80;
    private const byte Hlt = 0xF4;
    private const int StatesPerPair = 3;

    private static readonly Code[] Branches =
    [
        Code.Jo_rel8_64, Code.Jno_rel8_64, Code.Jb_rel8_64, Code.Jae_rel8_64, Code.Je_rel8_64, Code.Jne_rel8_64, Code.Jbe_rel8_64, Code.Ja_rel8_64,
        Code.Js_rel8_64, Code.Jns_rel8_64, Code.Jp_rel8_64, Code.Jnp_rel8_64, Code.Jl_rel8_64, Code.Jge_rel8_64, Code.Jle_rel8_64, Code.Jg_rel8_64,
    ];

    [TestCase(Mnemonic.Cmp)]
    [TestCase(Mnemonic.Test)]
    [TestCase(Mnemonic.Sub)]
    [TestCase(Mnemonic.Add)]
    [TestCase(Mnemonic.And)]
    public void PairsDoWhatTheirPartsDo(Mnemonic mnemonic)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        using PagedGuest guest = new();
        guest.Map(CodeAddress, CodeFrame);
        PagedMemory memory = new(guest, host);
        FormStates states = new(host, new OperandSource(31));
        byte[] apartMemory = new byte[HostProcessor.ScratchSize], togetherMemory = new byte[HostProcessor.ScratchSize];
        guest.Machine.WriteMemory(new(CodeFrame + Target - CodeAddress), [Hlt]);
        int fused = 0, taken = 0, pair = 0;
        foreach (InstructionForm form in InstructionForms.Of(InstructionFamilies.OfMnemonics("pair", mnemonic), new FormOptions()))
        {
            for (int part = 0; part < 4; part++, pair++)
            {
                Code branch = Branches[pair * 5 % Branches.Length];
                guest.Machine.WriteMemory(new(CodeFrame), [.. form.Bytes, .. Encode(branch, CodeAddress + (ulong)form.Bytes.Length), Hlt]);
                for (int i = 0; i < StatesPerPair && states.TryNext(form, out HostState before); i++)
                {
                    string what = $"{form.Instruction} and {branch}, state {i}";
                    HostState apart = Run(guest, memory, before, BlockMode.Single, apartMemory, out ulong apartRip);
                    HostState together = Run(guest, memory, before, BlockMode.None, togetherMemory, out ulong togetherRip);
                    fused += IsFused(guest) ? 1 : 0;
                    Assert.That(togetherRip, Is.EqualTo(apartRip), what);
                    Assert.That(GuestRegisters.Same(apart, together), what);
                    Assert.That(togetherMemory.AsSpan().SequenceEqual(apartMemory), what);
                    taken += apartRip == Target + 1 ? 1 : 0;
                }
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(fused, Is.GreaterThan(pair));
            Assert.That(taken, Is.GreaterThan(pair / 2).And.LessThan(pair * StatesPerPair));
        }
    }

    private static HostState Run(PagedGuest guest, PagedMemory memory, in HostState before, BlockMode mode, byte[] contents, out ulong rip)
    {
        HostState state = before;
        memory.Fill();
        GuestRegisters.Set(guest.Cpu, before);
        guest.Start(CodeAddress);
        BlockExit exit;
        do
        {
            exit = guest.RunBlock(slice: mode == BlockMode.Single ? 1 : 64, mode);
        }
        while (exit == BlockExit.Branch);

        Assert.That(exit, Is.EqualTo(BlockExit.Halt));
        rip = guest.Cpu.State.Rip;
        GuestRegisters.Get(guest.Cpu, ref state);
        memory.CopyTo(contents);
        return state;
    }

    /// <summary>The pair and HLT make two operations and the end of the block, and three instructions.</summary>
    private static bool IsFused(PagedGuest guest)
    {
        guest.Start(CodeAddress);
        guest.RunBlock();
        return guest.Entered->OpCount == 3 && guest.Entered->Count == 3;
    }

    private static byte[] Encode(Code branch, ulong rip)
    {
        MemoryStream stream = new();
        Encoder.Create(64, new StreamCodeWriter(stream)).Encode(Instruction.CreateBranch(branch, Target), rip);
        return stream.ToArray();
    }
}
