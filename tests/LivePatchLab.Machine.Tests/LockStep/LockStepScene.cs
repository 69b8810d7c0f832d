namespace LivePatchLab.Machine.Tests;

/// <summary>
/// A machine with something to run, made from a seed, and what is done to it from outside while it runs. Two scenes of the same seed are equal in all but
/// what executes their code: whatever they draw may depend on the seed and on the state of the machine, and on nothing else.
/// </summary>
internal abstract class LockStepScene(ulong seed) : IDisposable
{
    /// <summary>Scenes are short: their code is translated so soon that both engines have their part of what <see cref="ExecutionEngine.Auto"/> runs.</summary>
    protected const int SoonHot = 400;

    protected Draw Draw { get; } = new(seed);

    public abstract SmpMachine Machine { get; }

    /// <summary>What was drawn, in a few words, for the report of a difference.</summary>
    public abstract string Description { get; }

    /// <summary>True when running on would lead nowhere.</summary>
    public virtual bool IsOver => false;

    /// <summary>What the program has given to the world outside so far.</summary>
    public virtual string Output => "";

    /// <summary>Called before each quantum: stores code, starts routines, starts CPUs again.</summary>
    public virtual void BeforeQuantum()
    {
    }

    public virtual void Dispose() => Machine.Dispose();
}

/// <summary>A kind of scenes.</summary>
/// <param name="Name">By which a replay names it.</param>
/// <param name="Make">Makes the scene of a seed, with the engine that is to run it.</param>
internal sealed record LockStepSource(string Name, Func<ulong, TestedEngine, LockStepScene> Make)
{
    /// <summary>True where most of a scene is compiled code, of which it takes millions of instructions to see the most; false where a new scene is worth more than a long one.</summary>
    public bool IsLarge { get; init; }
}
