using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>The host cannot hold guest memory of the size or kind that was asked for.</summary>
public sealed class HostMemoryException : Exception
{
    /// <summary>An exception that says <paramref name="message"/>, from a host that answered <paramref name="error"/>.</summary>
    public HostMemoryException(string message, Errno error)
        : base(message) => Error = error;

    /// <summary>What the host answered.</summary>
    public Errno Error { get; }

    [DoesNotReturn]
    internal static void Throw(ulong size, Errno error) =>
        throw new HostMemoryException(
            string.Create(CultureInfo.InvariantCulture, $"the host cannot hold 0x{size:x} bytes of guest memory: {Describe(error)}"), error);

    [DoesNotReturn]
    internal static void ThrowNoMemfd(Errno error) =>
        throw new HostMemoryException($"the host offers no memfd: {Describe(error)}; anonymous memory needs none", error);

    private static string Describe(Errno error) =>
        OperatingSystem.IsLinux() ? $"{Marshal.GetPInvokeErrorMessage((int)error)} (errno {(int)error})" : error.ToString();
}
