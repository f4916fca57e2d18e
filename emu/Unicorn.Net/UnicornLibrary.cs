using System.Reflection;
using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>The native library, of which a process uses one: the one that <see cref="Load"/> names, or else the system's.</summary>
public static class UnicornLibrary
{
    internal const string ImportName = "unicorn";

    private static readonly Lock gate = new();
    private static nint handle;
    private static Version? version;
    private static string? loadedFrom;

    /// <summary>The oldest version that will do: those before it translate addresses wrongly and end the process where memory has many regions.</summary>
    public static Version OldestVersion { get; } = new(2, 1, 1);

    /// <summary>The version of the library; loads it if it has not been.</summary>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    public static Version Version
    {
        get
        {
            Load();
            return version!;
        }
    }

    /// <summary>The path or name the library was loaded by, or null before.</summary>
    public static string? LoadedFrom => loadedFrom;

    /// <summary>Loads the library. Only the first call decides which; one that names another afterwards is refused.</summary>
    /// <param name="path">The file to load, or null for the system's.</param>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    /// <exception cref="InvalidOperationException">Another was loaded before.</exception>
    /// <exception cref="PlatformNotSupportedException">The binding does not know how this platform passes variable arguments.</exception>
    public static void Load(string? path = null)
    {
        lock (gate)
        {
            if (handle != 0)
            {
                if (path is not null && path != loadedFrom)
                {
                    throw new InvalidOperationException($"This process uses the libunicorn of {loadedFrom}, and cannot take another.");
                }

                return;
            }

            if (OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64)
            {
                throw new PlatformNotSupportedException("uc_ctl takes variable arguments, which macOS on Arm64 passes in another way than fixed ones.");
            }

            (nint opened, Version found, string name) = Find(path);
            NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), Resolve);
            (handle, version, loadedFrom) = (opened, found, name);
        }
    }

    /// <summary>Whether the library emulates an architecture.</summary>
    /// <param name="architecture">The architecture.</param>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    public static bool Supports(UnicornArchitecture architecture)
    {
        Load();
        return NativeMethods.IsSupported(architecture) != 0;
    }

    /// <summary>Opens a library that will do, without making it the one that is used.</summary>
    /// <param name="path">The file, or null for the system's.</param>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    internal static (nint Handle, Version Version, string Name) Find(string? path)
    {
        string name = Open(path, out nint opened);
        return (opened, VersionOf(opened, name), name);
    }

    private static string Open(string? path, out nint opened)
    {
        if (path is not null)
        {
            return NativeLibrary.TryLoad(path, out opened)
                ? path
                : throw new UnicornLibraryException(File.Exists(path) ? $"{path} cannot be loaded" : $"there is no {path}");
        }

        string[] names = OperatingSystem.IsWindows() ? ["unicorn.dll"]
            : OperatingSystem.IsMacOS() ? ["libunicorn.2.dylib", "libunicorn.dylib"]
            : ["libunicorn.so.2", "libunicorn.so"];
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out opened))
            {
                return name;
            }
        }

        throw new UnicornLibraryException($"neither the system nor the folder of the program has {string.Join(" or ", names)}");
    }

    private static unsafe Version VersionOf(nint opened, string name)
    {
        string found = $"{name} is not libunicorn";
        if (NativeLibrary.TryGetExport(opened, "uc_version", out nint export))
        {
            // SAFETY: unsigned uc_version(unsigned *major, unsigned *minor), and both pointers may be null in every version.
            uint packed = ((delegate* unmanaged[Cdecl]<uint*, uint*, uint>)export)(null, null);
            Version its = new((int)(packed >> 24), (int)(packed >> 16 & 0xff), (int)(packed >> 8 & 0xff));
            if (its >= OldestVersion)
            {
                return its;
            }

            found = $"{name} is {its}";
        }

        NativeLibrary.Free(opened);
        throw new UnicornLibraryException(found);
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => name == ImportName ? handle : 0;
}
