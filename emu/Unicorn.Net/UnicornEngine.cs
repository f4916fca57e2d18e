using System.Runtime.ExceptionServices;

namespace Unicorn.Net;

/// <summary>A processor with its memory. One thread at a time may use it; only <see cref="Stop"/> may come from another.</summary>
public sealed unsafe partial class UnicornEngine : RegisterFile, IDisposable
{
    private readonly EngineHandle handle;
    private Exception? thrownInHook;
    private int running;

    /// <summary>Makes an engine.</summary>
    /// <param name="architecture">What it emulates.</param>
    /// <param name="mode">How it begins; <see cref="UnicornMode.Bits64"/> for x86 is 64-bit mode at CPL 0, without page tables.</param>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public UnicornEngine(UnicornArchitecture architecture, UnicornMode mode)
    {
        UnicornLibrary.Load();
        UnicornError error = NativeMethods.Open(architecture, mode, out nint engine);
        if (error != UnicornError.Ok)
        {
            throw new UnicornException(error);
        }

        handle = new EngineHandle(engine);
    }

    /// <summary>Runs.</summary>
    /// <remarks>
    /// With an MMU the engine translates <paramref name="until"/> before it runs, which can leave its address in CR2: exits do not.
    /// </remarks>
    /// <param name="begin">The address of the first instruction.</param>
    /// <param name="until">Where to stop before executing; ignored while <see cref="UseExits"/> is on.</param>
    /// <param name="timeout">How long at most, to the microsecond; zero for no end.</param>
    /// <param name="count">How many instructions at most; 0 for no limit.</param>
    /// <exception cref="UnicornException">The run ended with an error.</exception>
    public void Start(ulong begin, ulong until, TimeSpan timeout = default, nuint count = 0) =>
        Check(StartCore(begin, until, timeout, count));

    /// <summary>Runs as <see cref="Start"/> does, and gives the error that ended the run, for callers to whom it is a result.</summary>
    /// <param name="begin">The address of the first instruction.</param>
    /// <param name="until">Where to stop before executing; ignored while <see cref="UseExits"/> is on.</param>
    /// <param name="timeout">How long at most, to the microsecond; zero for no end.</param>
    /// <param name="count">How many instructions at most; 0 for no limit.</param>
    public UnicornError TryStart(ulong begin, ulong until, TimeSpan timeout = default, nuint count = 0)
    {
        UnicornError error = StartCore(begin, until, timeout, count);
        ThrowFromHook();
        return error;
    }

    /// <summary>Ends the run after the instruction under way. Any thread may call it.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Stop()
    {
        UnicornError error = NativeMethods.Stop(handle);
        if (error != UnicornError.Ok)
        {
            throw new UnicornException(error);
        }
    }

    /// <summary>Asks the engine about itself.</summary>
    /// <param name="type">What.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public nuint Query(QueryType type)
    {
        Check(NativeMethods.Query(handle, type, out nuint result));
        return result;
    }

    /// <summary>Makes a context, with the state of now in it.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public UnicornContext CreateContext()
    {
        Check(NativeMethods.AllocateContext(handle, out nint allocated));
        UnicornContext context = new(handle, allocated);
        Save(context);
        return context;
    }

    /// <summary>Puts the state of now into a context of this engine.</summary>
    /// <param name="context">The context.</param>
    /// <exception cref="ArgumentException">It is of another engine.</exception>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Save(UnicornContext context) => Check(NativeMethods.SaveContext(handle, OwnHandle(context)));

    /// <summary>Goes back to the state of a context of this engine.</summary>
    /// <param name="context">The context.</param>
    /// <exception cref="ArgumentException">It is of another engine.</exception>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Restore(UnicornContext context) => Check(NativeMethods.RestoreContext(handle, OwnHandle(context)));

    /// <summary>Closes the engine and takes its hooks out.</summary>
    public void Dispose() => handle.Dispose();

    /// <summary>Keeps what a hook threw, and ends the run.</summary>
    internal void Abort(Exception exception)
    {
        thrownInHook ??= exception;
        _ = NativeMethods.Stop(handle);
    }

    private protected override void Check(UnicornError error)
    {
        ThrowFromHook();
        if (error != UnicornError.Ok)
        {
            throw new UnicornException(error);
        }
    }

    private protected override UnicornError Read(int register, void* value, nuint* size) =>
        NativeMethods.ReadRegister(handle, register, value, size);

    private protected override UnicornError Write(int register, void* value, nuint* size) =>
        NativeMethods.WriteRegister(handle, register, value, size);

    private protected override UnicornError ReadBatch(int* registers, void** values, nuint* sizes, int count) =>
        NativeMethods.ReadRegisters(handle, registers, values, sizes, count);

    private protected override UnicornError WriteBatch(int* registers, void** values, nuint* sizes, int count) =>
        NativeMethods.WriteRegisters(handle, registers, values, sizes, count);

    /// <summary>A context points into the engine that made it, and would take another to memory that is not its own.</summary>
    private ContextHandle OwnHandle(UnicornContext context) =>
        context.Handle.IsOf(handle) ? context.Handle : throw new ArgumentException("The context is of another engine.", nameof(context));

    private UnicornError StartCore(ulong begin, ulong until, TimeSpan timeout, nuint count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        running++;
        try
        {
            return NativeMethods.Start(handle, begin, until, (ulong)timeout.Ticks / TimeSpan.TicksPerMicrosecond, count);
        }
        finally
        {
            running--;
        }
    }

    /// <summary>Not within a hook, where an engine call would take the exception of a hook that it is not responsible for.</summary>
    private void ThrowFromHook()
    {
        if (thrownInHook is { } thrown && running == 0)
        {
            thrownInHook = null;
            ExceptionDispatchInfo.Throw(thrown);
        }
    }
}
