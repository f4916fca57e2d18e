using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Quadwalk.GuestMemory;

/// <summary>How <see cref="NofaultCopy"/> survives an address that is gone.</summary>
public enum NofaultMechanism
{
    /// <summary>It does not: this host has neither.</summary>
    None,

    /// <summary>The kernel copies and says EFAULT (process_vm_readv and process_vm_writev on oneself). Linux.</summary>
    SystemCall,

    /// <summary>Instructions whose faults are turned into failures by a signal handler. x86-64 Linux.</summary>
    Stub,
}

/// <summary>
/// Copies from and to addresses that may be unmapped, protected or poisoned, where any other access would end the process: what
/// <c>copy_from_user_nofault</c> and <c>copy_to_user_nofault</c> are to the kernel.
/// </summary>
/// <remarks>May be called by any number of threads. The first use puts signal handlers before those of the runtime, which keep working.</remarks>
public static unsafe class NofaultCopy
{
    // A stub cannot be interrupted by the garbage collector.
    private const int MostAtOnce = 16384;

    /// <summary>How this host does it.</summary>
    public static NofaultMechanism Mechanism { get; } =
        FaultStub.IsInstalled ? NofaultMechanism.Stub : SystemCallWorks() ? NofaultMechanism.SystemCall : NofaultMechanism.None;

    /// <summary>Reads bytes.</summary>
    /// <param name="source">Where.</param>
    /// <param name="destination">Receives them.</param>
    /// <returns>False: a byte could not be read; those before it may have been.</returns>
    /// <exception cref="PlatformNotSupportedException"><see cref="Mechanism"/> is none.</exception>
    public static bool TryRead(Hva source, Span<byte> destination) => TryRead(source, destination, Mechanism);

    /// <summary>Reads bytes by one mechanism, which the host has.</summary>
    /// <param name="source">Where.</param>
    /// <param name="destination">Receives them.</param>
    /// <param name="mechanism">How; <see cref="NofaultMechanism.SystemCall"/> works wherever <see cref="NofaultMechanism.Stub"/> does, and is slower.</param>
    /// <returns>False: a byte could not be read; those before it may have been.</returns>
    /// <exception cref="PlatformNotSupportedException">The host has it not.</exception>
    public static bool TryRead(Hva source, Span<byte> destination, NofaultMechanism mechanism)
    {
        Require(mechanism);

        // SAFETY, here and below: the span is pinned while its address is used, and the other address may be anything.
        fixed (byte* to = destination)
        {
            if (mechanism == NofaultMechanism.SystemCall)
            {
                return Transfer(to, source.Value, destination.Length, write: false);
            }

            for (int done = 0; done < destination.Length; done += MostAtOnce)
            {
                if (FaultStub.Copy(to + done, (void*)(source.Value + (ulong)done), (nuint)Math.Min(MostAtOnce, destination.Length - done)) != 0)
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Writes bytes.</summary>
    /// <param name="destination">Where.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>False: a byte could not be written; those before it may have been.</returns>
    /// <exception cref="PlatformNotSupportedException"><see cref="Mechanism"/> is none.</exception>
    public static bool TryWrite(Hva destination, ReadOnlySpan<byte> source) => TryWrite(destination, source, Mechanism);

    /// <summary>Writes bytes by one mechanism, which the host has.</summary>
    /// <param name="destination">Where.</param>
    /// <param name="source">The bytes.</param>
    /// <param name="mechanism">How.</param>
    /// <returns>False: a byte could not be written; those before it may have been.</returns>
    /// <exception cref="PlatformNotSupportedException">The host has it not.</exception>
    public static bool TryWrite(Hva destination, ReadOnlySpan<byte> source, NofaultMechanism mechanism)
    {
        Require(mechanism);
        fixed (byte* from = source)
        {
            if (mechanism == NofaultMechanism.SystemCall)
            {
                return Transfer(from, destination.Value, source.Length, write: true);
            }

            for (int done = 0; done < source.Length; done += MostAtOnce)
            {
                if (FaultStub.Copy((void*)(destination.Value + (ulong)done), from + done, (nuint)Math.Min(MostAtOnce, source.Length - done)) != 0)
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Reads a word; an aligned one in a single access where <see cref="Mechanism"/> is <see cref="NofaultMechanism.Stub"/>.</summary>
    /// <param name="source">Where.</param>
    /// <param name="value">The word; 0 where it could not be read.</param>
    /// <exception cref="PlatformNotSupportedException"><see cref="Mechanism"/> is none.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead64(Hva source, out ulong value)
    {
        ulong word = 0;
        bool read = FaultStub.IsInstalled ? FaultStub.Load64(source.Value, &word) == 0 : TryRead(source, new Span<byte>(&word, sizeof(ulong)));
        value = word;
        return read;
    }

    /// <summary>Writes a word; an aligned one in a single access where <see cref="Mechanism"/> is <see cref="NofaultMechanism.Stub"/>.</summary>
    /// <param name="destination">Where.</param>
    /// <param name="value">The word.</param>
    /// <exception cref="PlatformNotSupportedException"><see cref="Mechanism"/> is none.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryWrite64(Hva destination, ulong value) =>
        FaultStub.IsInstalled ? FaultStub.Store64(destination.Value, value) == 0 : TryWrite(destination, new ReadOnlySpan<byte>(&value, sizeof(ulong)));

    private static void Require(NofaultMechanism mechanism)
    {
        if (mechanism == NofaultMechanism.None || mechanism > Mechanism)
        {
            ThrowUnsupported(mechanism);
        }
    }

    private static bool SystemCallWorks()
    {
        ulong word = 1;
        ulong copy = 0;
        return OperatingSystem.IsLinux() && Transfer((byte*)&copy, (ulong)&word, sizeof(ulong), write: false) && copy == word;
    }

    private static bool Transfer(byte* local, ulong remote, int length, bool write)
    {
        Libc.IoVector own = new((ulong)local, (nuint)length);
        Libc.IoVector other = new(remote, (nuint)length);
        int process = Environment.ProcessId;
        nint done = write ? Libc.ProcessWrite(process, &own, 1, &other, 1, 0) : Libc.ProcessRead(process, &own, 1, &other, 1, 0);
        return done == length;
    }

    [DoesNotReturn]
    private static void ThrowUnsupported(NofaultMechanism mechanism) =>
        throw new PlatformNotSupportedException($"this host has no copy of kind {mechanism} from an address that may be gone");
}
