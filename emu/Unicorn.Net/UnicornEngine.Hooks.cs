namespace Unicorn.Net;

/// <content>Hooks. Where begin is above end, as by default, a hook is for every address.</content>
public sealed unsafe partial class UnicornEngine
{
    /// <summary>Adds a hook for events that lead to one method of its handler.</summary>
    /// <param name="kinds">The events.</param>
    /// <param name="handler">Whose method is called.</param>
    /// <param name="begin">The first address it is for.</param>
    /// <param name="end">The last address it is for.</param>
    /// <exception cref="ArgumentException"><paramref name="kinds"/> lead to several methods, or need another call.</exception>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public Hook AddHook(HookKinds kinds, HookHandler handler, ulong begin = 1, ulong end = 0)
    {
        void* callback = HookThunks.For(kinds);
        return callback is null
            ? throw new ArgumentException($"No method of a handler is for {kinds}: add a hook for each.", nameof(kinds))
            : Add(kinds, callback, handler, begin, end, 0, 0);
    }

    /// <summary>Adds a hook for an x86 instruction.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="handler">Whose method is called.</param>
    /// <param name="begin">The first address it is for.</param>
    /// <param name="end">The last address it is for.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public Hook AddInstructionHook(X86HookInstruction instruction, HookHandler handler, ulong begin = 1, ulong end = 0)
    {
        void* callback = HookThunks.For(instruction);
        return callback is null
            ? throw new ArgumentOutOfRangeException(nameof(instruction), instruction, "This instruction cannot be hooked.")
            : Add(HookKinds.Instruction, callback, handler, begin, end, (nint)instruction, 0);
    }

    /// <summary>Adds a hook for an operation of the translator; it calls <see cref="HookHandler.OnTcgOpcode"/>.</summary>
    /// <param name="opcode">The operation.</param>
    /// <param name="flags">Which of its uses.</param>
    /// <param name="handler">Whose method is called.</param>
    /// <param name="begin">The first address it is for.</param>
    /// <param name="end">The last address it is for.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public Hook AddTcgOpcodeHook(TcgOpcode opcode, TcgOpcodeFlags flags, HookHandler handler, ulong begin = 1, ulong end = 0)
    {
        delegate* unmanaged[Cdecl]<nint, ulong, ulong, ulong, uint, nint, void> callback = &HookThunks.TcgOpcode;
        return Add(HookKinds.TcgOpcode, callback, handler, begin, end, (nint)opcode, (nint)flags);
    }

    /// <summary>Adds a hook that is a function of the caller's: nothing lies between the engine and it.</summary>
    /// <param name="kinds">The events, all of which call with the same arguments.</param>
    /// <param name="callback">
    /// A function with the signature that unicorn.h has for the events, such as an <c>[UnmanagedCallersOnly]</c> method. No exception may leave it.
    /// </param>
    /// <param name="userData">Its last argument.</param>
    /// <param name="begin">The first address it is for.</param>
    /// <param name="end">The last address it is for.</param>
    /// <param name="argument1">The instruction for <see cref="HookKinds.Instruction"/>, the operation for <see cref="HookKinds.TcgOpcode"/>.</param>
    /// <param name="argument2">The flags for <see cref="HookKinds.TcgOpcode"/>.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public Hook AddHook(HookKinds kinds, void* callback, nint userData, ulong begin = 1, ulong end = 0, nint argument1 = 0, nint argument2 = 0)
    {
        ArgumentNullException.ThrowIfNull(callback);
        Check(NativeMethods.AddHook(handle, out nuint number, kinds, callback, userData, begin, end, argument1, argument2));
        return new Hook(this, number, target: 0);
    }

    /// <summary>Takes a hook out. What it holds stays until the engine closes if the engine runs, since it may be in the hook.</summary>
    internal void RemoveHook(nuint number, nint target)
    {
        if (handle.IsClosed)
        {
            return;
        }

        UnicornError error = NativeMethods.RemoveHook(handle, number);
        if (error == UnicornError.Ok && target != 0 && running == 0)
        {
            handle.Release(target);
        }

        Check(error);
    }

    private Hook Add(HookKinds kinds, void* callback, HookHandler handler, ulong begin, ulong end, nint argument1, nint argument2)
    {
        ArgumentNullException.ThrowIfNull(handler);
        nint target = handle.Keep(new HookTarget<HookHandler>(this, handler));
        UnicornError error = NativeMethods.AddHook(handle, out nuint number, kinds, callback, target, begin, end, argument1, argument2);
        if (error != UnicornError.Ok)
        {
            handle.Release(target);
        }

        Check(error);
        return new Hook(this, number, target);
    }
}
