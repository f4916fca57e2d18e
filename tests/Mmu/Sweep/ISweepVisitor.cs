namespace Quadwalk.Tests;

/// <summary>Is shown the states of a sweep. Implemented by sealed classes, so that showing a state is a direct call.</summary>
internal interface ISweepVisitor
{
    /// <summary>One state, and the value of each axis that makes it.</summary>
    void Visit(in SweepWords state, ReadOnlySpan<int> choice);
}
