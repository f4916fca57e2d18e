namespace Unicorn.Net;

/// <summary>What a program does when the engine reports an event. A hook calls the method of its kind; override those.</summary>
/// <remarks>An exception thrown here ends the emulation and comes out of <see cref="UnicornEngine.Start"/>.</remarks>
public abstract class HookHandler
{
    /// <summary>An instruction is about to run.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="address">Its address.</param>
    /// <param name="size">Its size in bytes, or 0 where the engine does not know.</param>
    public virtual void OnCode(UnicornEngine engine, ulong address, uint size)
    {
    }

    /// <summary>A basic block is about to run.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="address">The address of its first instruction.</param>
    /// <param name="size">Its size in bytes.</param>
    public virtual void OnBlock(UnicornEngine engine, ulong address, uint size)
    {
    }

    /// <summary>An exception was raised, or an INT executed. Where a hook is called, the engine goes on after it.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="vector">Its number.</param>
    public virtual void OnInterrupt(UnicornEngine engine, uint vector)
    {
    }

    /// <summary>An invalid instruction was met.</summary>
    /// <param name="engine">The engine.</param>
    /// <returns>Whether to go on, after RIP was moved; otherwise the run ends with <see cref="UnicornError.InvalidInstruction"/>.</returns>
    public virtual bool OnInvalidInstruction(UnicornEngine engine) => false;

    /// <summary>Memory is accessed.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="type">How.</param>
    /// <param name="address">Where.</param>
    /// <param name="size">The size in bytes.</param>
    /// <param name="value">What is written, or was read where <paramref name="type"/> is <see cref="MemoryAccessType.ReadAfter"/>.</param>
    public virtual void OnMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value)
    {
    }

    /// <summary>An access to memory failed.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="type">How it was made, and why it failed.</param>
    /// <param name="address">Where.</param>
    /// <param name="size">The size in bytes.</param>
    /// <param name="value">What was to be written.</param>
    /// <returns>Whether to try again, after the memory was made accessible; otherwise the run ends with the error for <paramref name="type"/>.</returns>
    public virtual bool OnInvalidMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value) => false;

    /// <summary>The virtual TLB (<see cref="TlbType.Virtual"/>) has no entry for a page.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="address">The page's virtual address.</param>
    /// <param name="type">Read, write or fetch.</param>
    /// <param name="entry">Receives the translation.</param>
    /// <returns>Whether there is one; otherwise the access fails.</returns>
    public virtual bool OnTlbFill(UnicornEngine engine, ulong address, MemoryAccessType type, out TlbEntry entry)
    {
        entry = default;
        return false;
    }

    /// <summary>The engine went from one block to another for the first time.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="current">The block it came to.</param>
    /// <param name="previous">The block it came from.</param>
    public virtual void OnEdge(UnicornEngine engine, TranslationBlock current, TranslationBlock previous)
    {
    }

    /// <summary>A hooked operation of the translator is about to run.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="address">The address of the instruction it belongs to.</param>
    /// <param name="left">The first operand.</param>
    /// <param name="right">The second operand.</param>
    /// <param name="size">The size of the operands in bits.</param>
    public virtual void OnTcgOpcode(UnicornEngine engine, ulong address, ulong left, ulong right, uint size)
    {
    }

    /// <summary>x86: IN or INS reads a port.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="port">The port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <returns>What the port holds.</returns>
    public virtual uint OnPortIn(UnicornEngine engine, uint port, int size) => uint.MaxValue;

    /// <summary>x86: OUT or OUTS writes a port.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="port">The port.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">What is written.</param>
    public virtual void OnPortOut(UnicornEngine engine, uint port, int size, uint value)
    {
    }

    /// <summary>x86: SYSCALL or SYSENTER, which the engine then leaves undone.</summary>
    /// <param name="engine">The engine.</param>
    public virtual void OnSyscall(UnicornEngine engine)
    {
    }

    /// <summary>x86: CPUID.</summary>
    /// <param name="engine">The engine.</param>
    /// <returns>Whether the handler has done it; otherwise the engine does.</returns>
    public virtual bool OnCpuid(UnicornEngine engine) => false;
}
