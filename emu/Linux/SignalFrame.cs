using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>sigaltstack(2): <c>stack_t</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct AlternateStack(ulong Base, int Flags, ulong Size)
{
    /// <summary>SS_DISABLE.</summary>
    public const int Disabled = 2;

    /// <summary>There is none.</summary>
    public static AlternateStack None => new(0, Disabled, 0);

    /// <summary>Whether a stack pointer lies on it.</summary>
    public bool Contains(ulong stackPointer) => (Flags & Disabled) == 0 && stackPointer - Base < Size;
}

/// <summary>
/// The registers of what handlers interrupted, by the address of the frame on the program's stack. The frame holds the general registers, which
/// a handler may change; x87 and vector registers are kept here, and the frame's pointer to them is null.
/// </summary>
internal sealed class InterruptedContexts
{
    /// <summary>How deep handlers nest before the oldest is given up; a handler that leaves by longjmp never comes back for its own.</summary>
    private const int Most = 64;

    private readonly List<(ulong Frame, CpuState Registers)> contexts = [];

    /// <summary>Keeps what a frame was made for.</summary>
    public void Push(ulong frame, in CpuState registers)
    {
        contexts.RemoveAll(context => context.Frame == frame);
        if (contexts.Count == Most)
        {
            contexts.RemoveAt(0);
        }

        contexts.Add((frame, registers));
    }

    /// <summary>Takes back what a frame was made for; false where nothing was.</summary>
    public bool TryPop(ulong frame, out CpuState registers)
    {
        int index = contexts.FindLastIndex(context => context.Frame == frame);
        registers = index < 0 ? default : contexts[index].Registers;
        if (index >= 0)
        {
            contexts.RemoveAt(index);
        }

        return index >= 0;
    }
}

/// <summary>The frame of a signal handler: <c>struct rt_sigframe</c> (<c>arch/x86/include/asm/sigframe.h</c>).</summary>
internal static class SignalFrame
{
    private const ulong RedZone = 128, Size = 440, Context = 8, Registers = Context + 40, Mask = Context + 296, Info = 312;
    private const int InfoSize = 128;
    private const ulong ChangeableFlags = Rflags.Status | Rflags.DF | Rflags.TF | Rflags.AC | Rflags.RF;

    /// <summary>The general registers in the order of <c>struct sigcontext_64</c>.</summary>
    private static ReadOnlySpan<byte> Order => [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1, 4];

    /// <summary>Sets a handler up; false where the stack cannot take the frame.</summary>
    public static bool TryPush(LinuxTask task, in SignalInfo info, in SignalAction action, ulong blocked)
    {
        ref CpuState cpu = ref task.Registers;
        ulong stack = cpu.Gpr[GeneralRegister.Rsp];
        AlternateStack other = task.SignalStack;
        bool switches = (action.Flags & SignalAction.OnStack) != 0 && (other.Flags & AlternateStack.Disabled) == 0 && !other.Contains(stack);
        ulong top = switches ? other.Base + other.Size : stack - RedZone;
        ulong frame = ((top - Size) & ~15UL) - 8;
        Span<byte> bytes = stackalloc byte[(int)Size];
        bytes.Clear();
        Put(bytes, 0, action.Restorer);
        MemoryMarshal.Write(bytes[(int)(Context + 16)..], other);
        for (int i = 0; i < Order.Length; i++)
        {
            Put(bytes, Registers + (ulong)i * 8, cpu.Gpr[Order[i]]);
        }

        Put(bytes, Registers + 128, cpu.Rip);
        Put(bytes, Registers + 136, task.Kernel.Machine.Cpu.Rflags);
        Put(bytes, Registers + 144, (ulong)cpu.Segments[SegmentIndex.Cs].Selector | (ulong)cpu.Segments[SegmentIndex.Ss].Selector << 48);
        Put(bytes, Registers + 176, info.Number == Signal.SIGSEGV ? info.Value : 0);
        Put(bytes, Mask, blocked);
        WriteInfo(bytes.Slice((int)Info, InfoSize), info);
        if (!task.Memory.TryWrite(frame, bytes))
        {
            return false;
        }

        task.Interrupted.Push(frame, cpu);
        cpu.Gpr[GeneralRegister.Rdi] = (ulong)info.Number;
        cpu.Gpr[GeneralRegister.Rsi] = frame + Info;
        cpu.Gpr[GeneralRegister.Rdx] = frame + Context;
        cpu.Gpr[GeneralRegister.Rax] = 0;
        cpu.Gpr[GeneralRegister.Rsp] = frame;
        cpu.Rip = action.Handler;
        task.Kernel.Machine.Cpu.Rflags = task.Kernel.Machine.Cpu.Rflags & ~(Rflags.DF | Rflags.RF | Rflags.TF);
        return true;
    }

    /// <summary>rt_sigreturn(2): takes the interrupted registers up again; false where the frame is none.</summary>
    public static bool TryPop(LinuxTask task, out ulong blocked)
    {
        blocked = 0;
        ulong frame = task.Registers.Gpr[GeneralRegister.Rsp] - 8;
        Span<byte> bytes = stackalloc byte[(int)Size];
        if (!task.Memory.TryRead(frame, bytes) || !task.Interrupted.TryPop(frame, out CpuState registers))
        {
            return false;
        }

        ref CpuState cpu = ref task.Registers;
        (ulong fs, ulong gs) = (cpu.Segments[SegmentIndex.Fs].Base, cpu.Segments[SegmentIndex.Gs].Base);
        registers.Segments[SegmentIndex.Fs].Base = fs;
        registers.Segments[SegmentIndex.Gs].Base = gs;
        for (int i = 0; i < Order.Length; i++)
        {
            registers.Gpr[Order[i]] = Get(bytes, Registers + (ulong)i * 8);
        }

        registers.Rip = Get(bytes, Registers + 128);
        task.Kernel.Gate.Load(task.Memory, registers);
        task.Kernel.Machine.Cpu.Rflags = (task.Kernel.Machine.Cpu.Rflags & ~ChangeableFlags) | (Get(bytes, Registers + 136) & ChangeableFlags);
        blocked = Get(bytes, Mask);
        return true;
    }

    /// <summary>Writes <c>siginfo_t</c>.</summary>
    public static void WriteInfo(Span<byte> bytes, in SignalInfo info)
    {
        bytes.Clear();
        MemoryMarshal.Write(bytes, info.Number);
        MemoryMarshal.Write(bytes[8..], info.Code);
        Put(bytes, 16, info.Value);
        MemoryMarshal.Write(bytes[24..], info.Status);
    }

    private static void Put(Span<byte> bytes, ulong at, ulong value) => MemoryMarshal.Write(bytes[(int)at..], value);

    private static ulong Get(ReadOnlySpan<byte> bytes, ulong at) => MemoryMarshal.Read<ulong>(bytes[(int)at..]);
}
