namespace Quadwalk.Emulation;

/// <summary>The type bits of a file's mode (<c>include/uapi/linux/stat.h</c>).</summary>
internal static class FileType
{
    public const uint Mask = 0xf000;
    public const uint Pipe = 0x1000;
    public const uint Character = 0x2000;
    public const uint Directory = 0x4000;
    public const uint Regular = 0x8000;
    public const uint Link = 0xa000;

    /// <summary>The type alone.</summary>
    public static uint Of(uint mode) => mode & Mask;
}

/// <summary>Flags of open(2) (<c>include/uapi/asm-generic/fcntl.h</c>).</summary>
internal static class OpenFlags
{
    public const int AccessMask = 3;
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int Truncate = 0x200;
    public const int Append = 0x400;
    public const int NonBlock = 0x800;
    public const int Directory = 0x1_0000;
    public const int NoFollow = 0x2_0000;
    public const int CloseOnExec = 0x8_0000;

    /// <summary>The flags that fcntl(F_SETFL) changes.</summary>
    public const int Changeable = Append | NonBlock;
}

/// <summary>Flags of the *at calls.</summary>
internal static class AtFlags
{
    public const int CurrentFolder = -100;
    public const int NoFollow = 0x100;
    public const int RemoveDirectory = 0x200;
    public const int EmptyPath = 0x1000;
}

/// <summary>What poll(2) asks and answers.</summary>
[Flags]
internal enum PollEvents : short
{
    None = 0,
    In = 1,
    Out = 4,
    Error = 8,
    HangUp = 0x10,
    Invalid = 0x20,
}
