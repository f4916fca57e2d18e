using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>What a program finds on its stack: argc, argv, envp and the auxiliary vector (System V ABI, 3.4.1).</summary>
internal static class InitialStack
{
    private const int MostBytes = 1 << 20, RandomBytes = 16;

    /// <summary>Types of auxiliary vector entries (<c>include/uapi/linux/auxvec.h</c>).</summary>
    private enum Aux : ulong
    {
        Null = 0,
        Phdr = 3,
        Phent = 4,
        Phnum = 5,
        PageSize = 6,
        Base = 7,
        Flags = 8,
        Entry = 9,
        Uid = 11,
        Euid = 12,
        Gid = 13,
        Egid = 14,
        Platform = 15,
        HardwareCapabilities = 16,
        ClockTicks = 17,
        Secure = 23,
        Random = 25,
        HardwareCapabilities2 = 26,
        ExecFn = 31,
        MinimumSignalStack = 51,
    }

    /// <summary>Builds it at the end of the address space; the stack pointer, or null with E2BIG or ENOMEM.</summary>
    public static ulong? TryBuild(
        LinuxKernel kernel, AddressSpace memory, LinuxExecutable program, byte[] name, byte[][] arguments, byte[][] environment, out LinuxErrno? error)
    {
        error = LinuxErrno.E2BIG;
        long size = arguments.Concat(environment).Sum(text => text.Length + 1L + sizeof(ulong)) + name.Length;
        if (size > MostBytes)
        {
            return null;
        }

        Writer strings = new(AddressSpace.End - sizeof(ulong));
        ulong execFn = strings.Push(name);
        ulong[] environmentAt = [.. environment.Reverse().Select(strings.Push).Reverse()];
        ulong[] argumentsAt = [.. arguments.Reverse().Select(strings.Push).Reverse()];
        ulong platform = strings.Push("x86_64"u8.ToArray());
        byte[] random = new byte[RandomBytes];
        kernel.Random.Fill(random);
        ulong randomAt = strings.PushBytes(random);

        CpuidLeaf features = new Cpuid(kernel.Machine.Cpu.Features, cr4: 0, xcr0: 0, xss: 0).Of(1);
        List<ulong> words = [(ulong)arguments.Length, .. argumentsAt, 0, .. environmentAt, 0];
        AddAux(words, Aux.HardwareCapabilities, features.Edx);
        AddAux(words, Aux.PageSize, PageSize.Size4K);
        AddAux(words, Aux.ClockTicks, TimeCalls.TicksPerSecond);
        AddAux(words, Aux.Phdr, program.ProgramHeaders);
        AddAux(words, Aux.Phent, ElfHeader.ProgramHeaderSize);
        AddAux(words, Aux.Phnum, (ulong)program.ProgramHeaderCount);
        AddAux(words, Aux.Base, 0);
        AddAux(words, Aux.Flags, 0);
        AddAux(words, Aux.Entry, program.Entry);
        AddAux(words, Aux.Uid, ProcessCalls.User);
        AddAux(words, Aux.Euid, ProcessCalls.User);
        AddAux(words, Aux.Gid, ProcessCalls.User);
        AddAux(words, Aux.Egid, ProcessCalls.User);
        AddAux(words, Aux.Secure, 0);
        AddAux(words, Aux.Random, randomAt);
        AddAux(words, Aux.HardwareCapabilities2, 0);
        AddAux(words, Aux.ExecFn, execFn);
        AddAux(words, Aux.Platform, platform);
        AddAux(words, Aux.MinimumSignalStack, 2048);
        AddAux(words, Aux.Null, 0);

        ulong stackPointer = (strings.Bottom - (ulong)words.Count * sizeof(ulong)) & ~15UL;
        byte[] table = new byte[words.Count * sizeof(ulong)];
        for (int i = 0; i < words.Count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(table.AsSpan(i * sizeof(ulong)), words[i]);
        }

        error = LinuxErrno.ENOMEM;
        if (!strings.TryStore(memory) || !memory.TryWrite(stackPointer, table))
        {
            return null;
        }

        error = null;
        return stackPointer;
    }

    private static void AddAux(List<ulong> words, Aux type, ulong value) => words.AddRange([(ulong)type, value]);

    /// <summary>Pushes strings downwards.</summary>
    private sealed class Writer(ulong top)
    {
        private readonly List<(ulong At, byte[] Bytes)> pieces = [];

        /// <summary>The lowest address used.</summary>
        public ulong Bottom { get; private set; } = top;

        /// <summary>Pushes a string with a zero behind it.</summary>
        public ulong Push(byte[] text) => PushBytes([.. text, 0]);

        /// <summary>Pushes bytes.</summary>
        public ulong PushBytes(byte[] bytes)
        {
            Bottom -= (ulong)bytes.Length;
            pieces.Add((Bottom, bytes));
            return Bottom;
        }

        /// <summary>Writes them into memory.</summary>
        public bool TryStore(AddressSpace memory) => pieces.TrueForAll(piece => memory.TryWrite(piece.At, piece.Bytes));
    }
}
