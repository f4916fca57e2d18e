using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// A few instructions that may touch an address that is gone, and the signal handlers that make a failure of them instead of the end of the
/// process. x86-64 Linux only.
/// </summary>
/// <remarks>
/// The handlers stand before those of the .NET runtime. They are machine code, since no managed code may run where the signal comes: a signal
/// that the kernel raised at an instruction of the stubs goes on at their exit, as the kernel's own exception table has it; every other one is
/// passed on as it came, with the same arguments on the same stack. They are installed once, for the life of the process.
/// </remarks>
internal static unsafe class FaultStub
{
    private const int SigBus = 7;
    private const int SigSegv = 11;
    private const int SaSigInfo = 4;

    private const int CopyOffset = 0x00;
    private const int Load64Offset = 0x10;
    private const int Store64Offset = 0x20;
    private const int SegvOffset = 0x40;
    private const int BusOffset = 0x50;
    private const int PreviousOffset = 0xa0;

    // Each stub keeps in RCX how many bytes are left to do, and returns it in RAX. Offsets in a signal's frame: si_code is at 8 of siginfo_t,
    // the saved RIP at 168 of ucontext_t.
    private static readonly byte[] Code =
    [
        // copy(RDI to, RSI from, RDX bytes):
        0x48, 0x89, 0xd1,                                           // 00  mov rcx, rdx
        0xf3, 0xa4,                                                 // 03  rep movsb
        0x48, 0x89, 0xc8,                                           // 05  mov rax, rcx
        0xc3,                                                       // 08  ret
        0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00,                   // 09  nop

        // load64(RDI from, RSI to):
        0xb9, 0x08, 0x00, 0x00, 0x00,                               // 10  mov ecx, 8
        0x48, 0x8b, 0x07,                                           // 15  mov rax, [rdi]
        0x48, 0x89, 0x06,                                           // 18  mov [rsi], rax
        0x31, 0xc0,                                                 // 1b  xor eax, eax
        0xc3,                                                       // 1d  ret
        0x66, 0x90,                                                 // 1e  nop

        // store64(RDI to, RSI value):
        0xb9, 0x08, 0x00, 0x00, 0x00,                               // 20  mov ecx, 8
        0x48, 0x89, 0x37,                                           // 25  mov [rdi], rsi
        0x31, 0xc0,                                                 // 28  xor eax, eax
        0xc3,                                                       // 2a  ret
        0x0f, 0x1f, 0x44, 0x00, 0x00,                               // 2b  nop

        // exit:
        0x48, 0x89, 0xc8,                                           // 30  mov rax, rcx
        0xc3,                                                       // 33  ret
        0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00,             // 34  nop
        0x0f, 0x1f, 0x40, 0x00,                                     // 3c  nop

        // segv(EDI signal, RSI siginfo_t, RDX ucontext_t):
        0x4c, 0x8b, 0x05, 0x59, 0x00, 0x00, 0x00,                   // 40  mov r8, [a0]
        0xeb, 0x0e,                                                 // 47  jmp 57
        0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00,                   // 49  nop

        // bus:
        0x4c, 0x8b, 0x05, 0x51, 0x00, 0x00, 0x00,                   // 50  mov r8, [a8]
        0x83, 0x7e, 0x08, 0x00,                                     // 57  cmp dword ptr [rsi + 8], 0    SI_USER and other processes' kinds
        0x7e, 0x28,                                                 // 5b  jle 85
        0x48, 0x8b, 0x82, 0xa8, 0x00, 0x00, 0x00,                   // 5d  mov rax, [rdx + 168]
        0x48, 0x8d, 0x0d, 0x95, 0xff, 0xff, 0xff,                   // 64  lea rcx, [00]
        0x48, 0x29, 0xc8,                                           // 6b  sub rax, rcx
        0x48, 0x3d, 0x30, 0x00, 0x00, 0x00,                         // 6e  cmp rax, 30
        0x73, 0x0f,                                                 // 74  jae 85
        0x48, 0x81, 0xc1, 0x30, 0x00, 0x00, 0x00,                   // 76  add rcx, 30
        0x48, 0x89, 0x8a, 0xa8, 0x00, 0x00, 0x00,                   // 7d  mov [rdx + 168], rcx
        0xc3,                                                       // 84  ret
        0x41, 0xff, 0xe0,                                           // 85  jmp r8
    ];

    private static readonly nint Start = Install();

    /// <summary>Whether the stubs are there and the handlers in place.</summary>
    public static bool IsInstalled => Start != 0;

    /// <summary>Copies bytes; returns how many are left where it stopped. At most a few KiB at a time: it holds up the garbage collector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint Copy(void* to, void* from, nuint bytes) =>
        ((delegate* unmanaged[SuppressGCTransition]<void*, void*, nuint, nuint>)(Start + CopyOffset))(to, from, bytes);

    /// <summary>Reads a word in one access; returns 0, or 8 where it could not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint Load64(ulong from, ulong* to) =>
        ((delegate* unmanaged[SuppressGCTransition]<ulong, ulong*, nuint>)(Start + Load64Offset))(from, to);

    /// <summary>Writes a word in one access; returns 0, or 8 where it could not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint Store64(ulong to, ulong value) =>
        ((delegate* unmanaged[SuppressGCTransition]<ulong, ulong, nuint>)(Start + Store64Offset))(to, value);

    // SAFETY: the code is written before it may be executed and never after; a handler is replaced only by one that calls it, and where the
    // previous one is none that could be called (a default action), nothing is installed.
    private static nint Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return 0;
        }

        SignalAction segv = default;
        SignalAction bus = default;
        if (Libc.SignalAction(SigSegv, null, &segv) != 0 || Libc.SignalAction(SigBus, null, &bus) != 0 || !segv.CanBeCalled || !bus.CanBeCalled)
        {
            return 0;
        }

        nint code = Libc.Map(0, (nuint)Environment.SystemPageSize, Libc.ProtRead | Libc.ProtWrite, Libc.MapPrivate | Libc.MapAnonymous, -1, 0);
        if (code == Libc.MapFailed)
        {
            return 0;
        }

        Code.CopyTo(new Span<byte>((void*)code, Code.Length));
        *(nint*)(code + PreviousOffset) = segv.Handler;
        *(nint*)(code + PreviousOffset + sizeof(nint)) = bus.Handler;
        if (Libc.Protect(code, (nuint)Environment.SystemPageSize, Libc.ProtRead | Libc.ProtExec) != 0)
        {
            _ = Libc.Unmap(code, (nuint)Environment.SystemPageSize);
            return 0;
        }

        SignalAction previous = segv;
        segv.Handler = code + SegvOffset;
        bus.Handler = code + BusOffset;
        if (Libc.SignalAction(SigSegv, &segv, null) != 0)
        {
            _ = Libc.Unmap(code, (nuint)Environment.SystemPageSize);
            return 0;
        }

        if (Libc.SignalAction(SigBus, &bus, null) != 0)
        {
            _ = Libc.SignalAction(SigSegv, &previous, null);
            return 0;
        }

        return code;
    }

    /// <summary><c>struct sigaction</c> of the C libraries of x86-64 Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SignalAction
    {
        public nint Handler;
        public fixed ulong Mask[16];
        public int Flags;
        public nint Restorer;

        /// <summary>It is a function of three arguments, not the default action or none.</summary>
        public readonly bool CanBeCalled => Handler is not 0 and not 1 && (Flags & SaSigInfo) != 0;
    }
}
