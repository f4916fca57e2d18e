namespace Unicorn.Net;

/// <content>What uc_ctl controls.</content>
public sealed unsafe partial class UnicornEngine
{
    private const uint ToEngine = 1, FromEngine = 2;

    private enum ControlType : uint
    {
        Mode, PageSize, Architecture, Timeout, UseExits, ExitCount, Exits, CpuModel, RequestCache, RemoveCache, FlushBlocks, FlushTlb, TlbType,
        TcgBufferSize, ContextMode,
    }

    /// <summary>The mode in force.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public UnicornMode Mode => (UnicornMode)Get<int>(ControlType.Mode);

    /// <summary>The architecture.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public UnicornArchitecture Architecture => (UnicornArchitecture)Get<int>(ControlType.Architecture);

    /// <summary>The size of a page in bytes. It can be set only before anything else is done with the engine, and only for Arm.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public uint PageSize
    {
        get => Get<uint>(ControlType.PageSize);
        set => Set(ControlType.PageSize, (nint)value);
    }

    /// <summary>The timeout of the last run.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public TimeSpan Timeout => new((long)(Get<ulong>(ControlType.Timeout) / TimeSpan.NanosecondsPerTick));

    /// <summary>The processor model, an <see cref="X86CpuModel"/> for x86. It can be set only before anything else is done with the engine.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public int CpuModel
    {
        get => Get<int>(ControlType.CpuModel);
        set => Set(ControlType.CpuModel, value);
    }

    /// <summary>The size of the buffer for translated code in bytes; the engine may round it.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public uint TcgBufferSize
    {
        get => Get<uint>(ControlType.TcgBufferSize);
        set => Set(ControlType.TcgBufferSize, (nint)value);
    }

    /// <summary>Sets whether runs stop at the addresses of <see cref="SetExits"/> in place of one address. Turned off, they are forgotten.</summary>
    /// <param name="use">Whether they do.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void UseExits(bool use) => Set(ControlType.UseExits, use ? 1 : 0);

    /// <summary>Gives the addresses at which runs stop.</summary>
    /// <exception cref="UnicornException">The engine refuses, as it does while <see cref="UseExits"/> is off.</exception>
    public ulong[] GetExits()
    {
        ulong[] exits = new ulong[Get<nuint>(ControlType.ExitCount)];
        fixed (ulong* pointer = exits)
        {
            Control(ControlType.Exits, 2, FromEngine, (nint)pointer, exits.Length);
        }

        return exits;
    }

    /// <summary>Sets the addresses at which runs stop.</summary>
    /// <param name="exits">The addresses.</param>
    /// <exception cref="UnicornException">The engine refuses, as it does while <see cref="UseExits"/> is off.</exception>
    public void SetExits(ReadOnlySpan<ulong> exits)
    {
        fixed (ulong* pointer = exits)
        {
            Control(ControlType.Exits, 2, ToEngine, (nint)pointer, exits.Length);
        }
    }

    /// <summary>Translates the block at an address, if it is not yet, and gives it.</summary>
    /// <param name="address">The block's address.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public TranslationBlock RequestBlock(ulong address)
    {
        TranslationBlock block = default;
        Control(ControlType.RequestCache, 2, ToEngine | FromEngine, (nint)address, (nint)(&block));
        return block;
    }

    /// <summary>Drops the translated blocks of a range; the engine translates its addresses as the processor does.</summary>
    /// <param name="begin">The first address.</param>
    /// <param name="end">The address after the last.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void RemoveBlocks(ulong begin, ulong end) => Control(ControlType.RemoveCache, 2, ToEngine, (nint)begin, (nint)end);

    /// <summary>Drops all translated blocks.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void FlushBlocks() => Control(ControlType.FlushBlocks, 0, ToEngine, 0, 0);

    /// <summary>Drops all translations of addresses.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void FlushTlb() => Control(ControlType.FlushTlb, 0, ToEngine, 0, 0);

    /// <summary>Chooses how addresses are translated.</summary>
    /// <param name="type">How.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void SetTlbType(TlbType type) => Set(ControlType.TlbType, (nint)type);

    /// <summary>Chooses what contexts that are saved from now on hold.</summary>
    /// <param name="content">What.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void SetContextContent(ContextContent content) => Set(ControlType.ContextMode, (nint)content);

    private T Get<T>(ControlType type)
        where T : unmanaged
    {
        // SAFETY: T is what unicorn.h says the engine writes for this type.
        T value = default;
        Control(type, 1, FromEngine, (nint)(&value), 0);
        return value;
    }

    private void Set(ControlType type, nint value) => Control(type, 1, ToEngine, value, 0);

    /// <summary>The control word has the type in bits 25:0, the number of arguments in bits 29:26 and the direction in bits 31:30.</summary>
    private void Control(ControlType type, uint arguments, uint direction, nint argument1, nint argument2) =>
        Check(NativeMethods.Control(handle, (uint)type | arguments << 26 | direction << 30, argument1, argument2));
}
