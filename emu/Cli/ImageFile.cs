using System.Globalization;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>Reads an image from a file, a pipe or what else can be read.</summary>
internal static class ImageFile
{
    private const int Largest = 1 << 30;

    /// <exception cref="CommandException">There is no such image, or it is not one.</exception>
    public static GuestImage Read(ImageOptions options)
    {
        byte[] bytes = ReadBytes(options.Path);
        try
        {
            if (options.LoadAddress is { } address)
            {
                return FlatImage.Create(bytes, address, options.RamBytes, ring: options.Ring ?? 0);
            }

            if (!bytes.AsSpan().StartsWith("\u007fELF"u8))
            {
                throw new ImageFormatException("this is no ELF file: give an ELF64 executable, or load a flat binary with --load-at ADDRESS");
            }

            return ElfImage.Parse(bytes, options.RamBytes);
        }
        catch (ImageFormatException e)
        {
            throw CommandException.Image($"{options.Path}: {e.Message}");
        }
    }

    /// <summary>The contents of a file.</summary>
    /// <exception cref="CommandException">They cannot be read.</exception>
    public static byte[] ReadBytes(string path)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
        {
            throw CommandException.Image("IMAGE is not the name of a file: give the path of an ELF64 executable");
        }

        if (Directory.Exists(path))
        {
            throw CommandException.Image($"{path}: this is a directory: give the path of an ELF64 executable");
        }

        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            return ReadBytes(file, path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw CommandException.Image($"{path}: there is no such file: check the path");
        }
        catch (UnauthorizedAccessException)
        {
            throw CommandException.Image($"{path}: permission denied: make the file readable");
        }
        catch (IOException e)
        {
            throw CommandException.Image($"{path}: it cannot be read: {e.Message}");
        }
    }

    private static byte[] ReadBytes(FileStream file, string path)
    {
        using MemoryStream bytes = new(file.CanSeek && file.Length <= Largest ? (int)file.Length : 0);
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = file.Read(buffer)) != 0;)
        {
            if (bytes.Length + read > Largest)
            {
                throw CommandException.Image(string.Create(CultureInfo.InvariantCulture, $"{path}: the file is larger than {Largest >> 20} MiB: strip it, or check the path"));
            }

            bytes.Write(buffer, 0, read);
        }

        return bytes.ToArray();
    }
}
