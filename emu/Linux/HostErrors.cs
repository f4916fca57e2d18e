using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>What went wrong on the host, as the guest is told.</summary>
internal static class HostErrors
{
    private const int HighestErrno = 133;

    /// <summary>Turns an exception of a file operation into an error number; false for any other.</summary>
    public static bool TryTell(Exception exception, out LinuxErrno error)
    {
        error = exception switch
        {
            FileNotFoundException or DirectoryNotFoundException => LinuxErrno.ENOENT,
            UnauthorizedAccessException => LinuxErrno.EACCES,
            PathTooLongException => LinuxErrno.ENAMETOOLONG,
            IOException { HResult: > 0 and <= HighestErrno } e => (LinuxErrno)e.HResult,
            IOException => LinuxErrno.EIO,
            NotSupportedException or ArgumentException => LinuxErrno.EINVAL,
            _ => 0,
        };
        return error != 0;
    }

    /// <summary>An error number of the host.</summary>
    public static LinuxErrno Of(Errno error) => (LinuxErrno)(int)error;
}
