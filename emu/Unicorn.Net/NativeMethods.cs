using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>
/// The functions of unicorn.h. Those with variable arguments are declared with the most they take: all are pointers or integers, which the platforms
/// <see cref="UnicornLibrary.Load"/> accepts pass as they pass fixed ones.
/// </summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = UnicornLibrary.ImportName;

    [LibraryImport(Library, EntryPoint = "uc_arch_supported")]
    public static partial byte IsSupported(UnicornArchitecture architecture);

    [LibraryImport(Library, EntryPoint = "uc_open")]
    public static partial UnicornError Open(UnicornArchitecture architecture, UnicornMode mode, out nint engine);

    [LibraryImport(Library, EntryPoint = "uc_close")]
    public static partial UnicornError Close(nint engine);

    [LibraryImport(Library, EntryPoint = "uc_query")]
    public static partial UnicornError Query(EngineHandle engine, QueryType type, out nuint result);

    [LibraryImport(Library, EntryPoint = "uc_ctl")]
    public static partial UnicornError Control(EngineHandle engine, uint control, nint argument1, nint argument2);

    [LibraryImport(Library, EntryPoint = "uc_strerror")]
    public static partial nint ErrorText(UnicornError error);

    [LibraryImport(Library, EntryPoint = "uc_reg_write2")]
    public static partial UnicornError WriteRegister(EngineHandle engine, int register, void* value, nuint* size);

    [LibraryImport(Library, EntryPoint = "uc_reg_read2")]
    public static partial UnicornError ReadRegister(EngineHandle engine, int register, void* value, nuint* size);

    [LibraryImport(Library, EntryPoint = "uc_reg_write_batch2")]
    public static partial UnicornError WriteRegisters(EngineHandle engine, int* registers, void** values, nuint* sizes, int count);

    [LibraryImport(Library, EntryPoint = "uc_reg_read_batch2")]
    public static partial UnicornError ReadRegisters(EngineHandle engine, int* registers, void** values, nuint* sizes, int count);

    [LibraryImport(Library, EntryPoint = "uc_mem_write")]
    public static partial UnicornError WriteMemory(EngineHandle engine, ulong address, byte* bytes, nuint size);

    [LibraryImport(Library, EntryPoint = "uc_mem_read")]
    public static partial UnicornError ReadMemory(EngineHandle engine, ulong address, byte* bytes, nuint size);

    [LibraryImport(Library, EntryPoint = "uc_emu_start")]
    public static partial UnicornError Start(EngineHandle engine, ulong begin, ulong until, ulong timeout, nuint count);

    [LibraryImport(Library, EntryPoint = "uc_emu_stop")]
    public static partial UnicornError Stop(EngineHandle engine);

    [LibraryImport(Library, EntryPoint = "uc_hook_add")]
    public static partial UnicornError AddHook(
        EngineHandle engine, out nuint hook, HookKinds kinds, void* callback, nint userData, ulong begin, ulong end, nint argument1, nint argument2);

    [LibraryImport(Library, EntryPoint = "uc_hook_del")]
    public static partial UnicornError RemoveHook(EngineHandle engine, nuint hook);

    [LibraryImport(Library, EntryPoint = "uc_mem_map")]
    public static partial UnicornError Map(EngineHandle engine, ulong address, nuint size, MemoryPermissions permissions);

    [LibraryImport(Library, EntryPoint = "uc_mem_map_ptr")]
    public static partial UnicornError MapPointer(EngineHandle engine, ulong address, nuint size, MemoryPermissions permissions, nint memory);

    [LibraryImport(Library, EntryPoint = "uc_mmio_map")]
    public static partial UnicornError MapMmio(
        EngineHandle engine, ulong address, nuint size, void* read, nint readData, void* write, nint writeData);

    [LibraryImport(Library, EntryPoint = "uc_mem_unmap")]
    public static partial UnicornError Unmap(EngineHandle engine, ulong address, nuint size);

    [LibraryImport(Library, EntryPoint = "uc_mem_protect")]
    public static partial UnicornError Protect(EngineHandle engine, ulong address, nuint size, MemoryPermissions permissions);

    [LibraryImport(Library, EntryPoint = "uc_mem_regions")]
    public static partial UnicornError Regions(EngineHandle engine, out MemoryRegion* regions, out uint count);

    [LibraryImport(Library, EntryPoint = "uc_free")]
    public static partial UnicornError Free(void* memory);

    [LibraryImport(Library, EntryPoint = "uc_context_alloc")]
    public static partial UnicornError AllocateContext(EngineHandle engine, out nint context);

    [LibraryImport(Library, EntryPoint = "uc_context_free")]
    public static partial UnicornError FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "uc_context_save")]
    public static partial UnicornError SaveContext(EngineHandle engine, ContextHandle context);

    [LibraryImport(Library, EntryPoint = "uc_context_restore")]
    public static partial UnicornError RestoreContext(EngineHandle engine, ContextHandle context);

    [LibraryImport(Library, EntryPoint = "uc_context_size")]
    public static partial nuint ContextSize(EngineHandle engine);

    [LibraryImport(Library, EntryPoint = "uc_context_reg_write2")]
    public static partial UnicornError WriteContextRegister(ContextHandle context, int register, void* value, nuint* size);

    [LibraryImport(Library, EntryPoint = "uc_context_reg_read2")]
    public static partial UnicornError ReadContextRegister(ContextHandle context, int register, void* value, nuint* size);

    [LibraryImport(Library, EntryPoint = "uc_context_reg_write_batch2")]
    public static partial UnicornError WriteContextRegisters(ContextHandle context, int* registers, void** values, nuint* sizes, int count);

    [LibraryImport(Library, EntryPoint = "uc_context_reg_read_batch2")]
    public static partial UnicornError ReadContextRegisters(ContextHandle context, int* registers, void** values, nuint* sizes, int count);
}
