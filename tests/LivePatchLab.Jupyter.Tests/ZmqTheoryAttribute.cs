namespace LivePatchLab.Jupyter.Tests;

/// <summary>A test with several inputs that talks through libzmq; without the library it is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ZmqTheoryAttribute : TheoryAttribute
{
    public ZmqTheoryAttribute()
    {
        if (!Zmq.IsHere) Skip = "libzmq is not here: apt-get install libzmq5";
    }
}
