using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>The native callbacks. No exception may cross into the engine: it is kept, and the emulation ended.</summary>
internal static unsafe class HookThunks
{
    private const HookKinds MemoryDone = HookKinds.Memory | HookKinds.ReadAfter;

    /// <summary>The callback for kinds of hooks, or null if no single one serves them.</summary>
    public static void* For(HookKinds kinds) => kinds switch
    {
        0 => null,
        HookKinds.Code => (delegate* unmanaged[Cdecl]<nint, ulong, uint, nint, void>)&Code,
        HookKinds.Block => (delegate* unmanaged[Cdecl]<nint, ulong, uint, nint, void>)&Block,
        HookKinds.Interrupt => (delegate* unmanaged[Cdecl]<nint, uint, nint, void>)&Interrupt,
        HookKinds.InvalidInstruction => (delegate* unmanaged[Cdecl]<nint, nint, byte>)&InvalidInstruction,
        HookKinds.EdgeGenerated => (delegate* unmanaged[Cdecl]<nint, TranslationBlock*, TranslationBlock*, nint, void>)&Edge,
        HookKinds.TlbFill => (delegate* unmanaged[Cdecl]<nint, ulong, MemoryAccessType, TlbEntry*, nint, byte>)&TlbFill,
        _ when (kinds & ~MemoryDone) == 0 => (delegate* unmanaged[Cdecl]<nint, MemoryAccessType, ulong, int, long, nint, void>)&Memory,
        _ when (kinds & ~HookKinds.InvalidMemory) == 0 => (delegate* unmanaged[Cdecl]<nint, MemoryAccessType, ulong, int, long, nint, byte>)&InvalidMemory,
        _ => null,
    };

    public static void* For(X86HookInstruction instruction) => instruction switch
    {
        X86HookInstruction.In => (delegate* unmanaged[Cdecl]<nint, uint, int, nint, uint>)&PortIn,
        X86HookInstruction.Out => (delegate* unmanaged[Cdecl]<nint, uint, int, uint, nint, void>)&PortOut,
        X86HookInstruction.Cpuid => (delegate* unmanaged[Cdecl]<nint, nint, int>)&Cpuid,
        X86HookInstruction.Syscall or X86HookInstruction.Sysenter => (delegate* unmanaged[Cdecl]<nint, nint, void>)&Syscall,
        _ => null,
    };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static void TcgOpcode(nint uc, ulong address, ulong left, ulong right, uint size, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnTcgOpcode(target.Engine, address, left, right, size);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static ulong MmioRead(nint uc, ulong offset, uint size, nint data)
    {
        HookTarget<MmioHandler> target = Find<MmioHandler>(data);
        try
        {
            return target.Handler.Read(target.Engine, offset, size);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static void MmioWrite(nint uc, ulong offset, uint size, ulong value, nint data)
    {
        HookTarget<MmioHandler> target = Find<MmioHandler>(data);
        try
        {
            target.Handler.Write(target.Engine, offset, size, value);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Code(nint uc, ulong address, uint size, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnCode(target.Engine, address, size);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Block(nint uc, ulong address, uint size, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnBlock(target.Engine, address, size);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Interrupt(nint uc, uint vector, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnInterrupt(target.Engine, vector);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte InvalidInstruction(nint uc, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            return target.Handler.OnInvalidInstruction(target.Engine) ? (byte)1 : (byte)0;
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Memory(nint uc, MemoryAccessType type, ulong address, int size, long value, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnMemory(target.Engine, type, address, size, value);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte InvalidMemory(nint uc, MemoryAccessType type, ulong address, int size, long value, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            return target.Handler.OnInvalidMemory(target.Engine, type, address, size, value) ? (byte)1 : (byte)0;
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte TlbFill(nint uc, ulong address, MemoryAccessType type, TlbEntry* entry, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            return target.Handler.OnTlbFill(target.Engine, address, type, out *entry) ? (byte)1 : (byte)0;
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Edge(nint uc, TranslationBlock* current, TranslationBlock* previous, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnEdge(target.Engine, current is null ? default : *current, previous is null ? default : *previous);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static uint PortIn(nint uc, uint port, int size, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            return target.Handler.OnPortIn(target.Engine, port, size);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void PortOut(nint uc, uint port, int size, uint value, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnPortOut(target.Engine, port, size, value);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Syscall(nint uc, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            target.Handler.OnSyscall(target.Engine);
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Cpuid(nint uc, nint data)
    {
        HookTarget<HookHandler> target = Find<HookHandler>(data);
        try
        {
            return target.Handler.OnCpuid(target.Engine) ? 1 : 0;
        }
        catch (Exception e)
        {
            target.Engine.Abort(e);
            return 0;
        }
    }

    private static HookTarget<THandler> Find<THandler>(nint data)
        where THandler : class => (HookTarget<THandler>)GCHandle.FromIntPtr(data).Target!;
}
