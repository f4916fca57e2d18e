namespace Quadwalk.Emulation;

/// <summary>How far Unicorn runs at a time.</summary>
internal enum UnicornStep
{
    /// <summary>Up to what it cannot do.</summary>
    Stretch,

    /// <summary>One of its blocks.</summary>
    Block,

    /// <summary>One instruction.</summary>
    Instruction,
}
