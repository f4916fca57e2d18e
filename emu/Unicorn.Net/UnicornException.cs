using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>An error of the engine, with the engine's own text as message.</summary>
/// <param name="error">The engine's number for it.</param>
public sealed class UnicornException(UnicornError error) : Exception(TextOf(error))
{
    /// <summary>The engine's number for the error.</summary>
    public UnicornError Error { get; } = error;

    private static string TextOf(UnicornError error) =>
        Marshal.PtrToStringUTF8(NativeMethods.ErrorText(error)) ?? $"libunicorn answered {(int)error}, for which it has no text";
}
