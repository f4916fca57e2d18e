namespace Quadwalk.Emulation;

/// <summary>What executes the instructions of a machine.</summary>
public enum EngineKind
{
    /// <summary>The reference: portable, precise, complete.</summary>
    Interpreter,

    /// <summary>
    /// libunicorn with Quadwalk's page walker in charge of its translations. What it cannot do as this processor does, the interpreter does on the
    /// same state.
    /// </summary>
    Unicorn,
}
