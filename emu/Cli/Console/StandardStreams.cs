using Microsoft.Win32.SafeHandles;

namespace Quadwalk.Cli;

/// <summary>The process's streams, unbuffered and with their errors: <see cref="System.Console"/> keeps a closed pipe to itself.</summary>
internal static class StandardStreams
{
    /// <summary>Standard input, or null where it is closed or cannot be read.</summary>
    public static Stream? OpenInput()
    {
        if (OperatingSystem.IsWindows())
        {
            return System.Console.OpenStandardInput();
        }

        try
        {
            return new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    // A FileStream keeps a file position of its own, which two writers to one file would not share; only what has none can be one.
    public static Stream OpenOutput()
    {
        if (OperatingSystem.IsWindows())
        {
            return System.Console.OpenStandardOutput();
        }

        try
        {
            FileStream stream = new(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            return stream.CanSeek ? System.Console.OpenStandardOutput() : stream;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return System.Console.OpenStandardOutput();
        }
    }
}
