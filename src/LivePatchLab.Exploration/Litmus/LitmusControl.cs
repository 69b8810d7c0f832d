using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>What is wrong on purpose in a test that brings no control of its own.</summary>
public static class LitmusControl
{
    /// <summary>Rewrites the sites byte by byte, first byte first, and returns: no INT3, no sync.</summary>
    public static LitmusSituation ByteByByte(LitmusSituation situation)
    {
        var patchers = situation.Programs.Where(p => p.Value is LitmusPatcher or LitmusSteps).Select(p => p.Key).Order().ToList();
        var programs = situation.Programs.Where(p => !patchers.Contains(p.Key)).ToDictionary();
        var steps = situation.Sites.Select(LitmusStep (s) => new LitmusStore(s.Name, 0, s.Length, new("new", []), IsByteByByte: true));
        programs[patchers.Count > 0 ? patchers[0] : 0] = new LitmusSteps([.. steps, new LitmusPlainStep(LitmusPlainStepKind.Return)]);
        return situation with { Programs = programs, Order = MemoryOrder.SequentiallyConsistent, Faults = [] };
    }

    /// <summary>The control of a protocol in its plain situation: the same call, rewritten byte by byte while another CPU comes by.</summary>
    public static Scenario PlainScenario()
    {
        var situation = new LitmusSituation
        {
            Sites = [new("site", LitmusCode.CallOld, LitmusCode.CallNew, 5)],
            Programs = new Dictionary<int, LitmusProgram> { [1] = new LitmusVisits(1) },
        };
        return new LitmusScenario("control: byte by byte", ByteByByte(situation), Patching.Invariants.NothingTorn);
    }
}
