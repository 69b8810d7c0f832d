using System.Globalization;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Lets machines that are equal but for their engine run through the same random quanta, and compares all that can be seen of them: registers, flags and clocks
/// after each quantum, all of memory now and then and at the end.
/// </summary>
internal sealed class LockStepRun : IDisposable
{
    /// <summary>Every page is hashed, which takes as long as some ten thousand instructions.</summary>
    private const int QuantaPerHash = 16;

    private readonly LockStepSource _source;
    private readonly ulong _seed;
    private readonly IReadOnlyList<TestedEngine> _engines;
    private readonly LockStepScene[] _scenes;
    private readonly MachineState[] _states;
    private readonly List<long> _limits = [];
    private readonly Draw _draw;

    /// <param name="source">What kind of scenes.</param>
    /// <param name="seed">Of the scenes and of their quanta.</param>
    /// <param name="engines">The first is the one that the others are compared with.</param>
    public LockStepRun(LockStepSource source, ulong seed, IReadOnlyList<TestedEngine> engines)
    {
        (_source, _seed, _engines) = (source, seed, engines);
        _draw = new(seed ^ 0x71a5_5e1f);
        _scenes = [.. engines.Select(engine => source.Make(seed, engine))];
        _states = [.. engines.Select(_ => new MachineState())];
    }

    /// <summary>For the control: done to the second scene after so many quanta, before it is compared.</summary>
    public Action<LockStepScene, int>? Spoil { get; init; }

    /// <summary>Instructions that each of the machines has retired.</summary>
    public long Instructions => InstructionsOf(_scenes[0]);

    /// <summary>Of those of the last engine, the ones in native code.</summary>
    public long NativeInstructions => _scenes[^1].Machine.EngineStatistics.NativeInstructions;

    public long CacheFlushes => _scenes[^1].Machine.EngineStatistics.CacheFlushes;

    public long Traps => _scenes[0].Machine.Accounts.Phases.Sum(phase => phase.Total().Traps);

    public int Quanta => _limits.Count;

    /// <summary>The line that makes the same run again.</summary>
    public string Replay => $"lockstep --source {_source.Name} --seed {_seed.ToString(CultureInfo.InvariantCulture)} --scenes 1 --host {OtherHosts.NameOf(_engines[^1].Host)}";

    /// <summary>Runs until each machine has retired so many instructions or has come to its end; gives the first difference, or null.</summary>
    public string? Run(long instructions)
    {
        while (Instructions < instructions && !_scenes[0].IsOver && !HasStalled)
        {
            var limit = (_limits.Count > 0 ? _limits[^1] : 0) + Math.Max(1, NextQuantum() / _scenes[0].Machine.Cpus.Count);
            _limits.Add(limit);
            for (var i = 0; i < _scenes.Length; i++) RunQuantum(_scenes[i], _states[i], limit);
            if (Spoil is not null)
            {
                Spoil(_scenes[1], _limits.Count);
                _states[1].Take(_scenes[1].Machine, _states[1].Stop);
            }

            if (Compare(withMemory: _limits.Count % QuantaPerHash == 0) is { } difference) return Report(difference);
        }

        return Compare(withMemory: true) is { } last ? Report(last) : null;
    }

    public void Dispose()
    {
        foreach (var scene in _scenes) scene.Dispose();
    }

    private static long InstructionsOf(LockStepScene scene) => scene.Machine.Cpus.Sum(cpu => cpu.RetiredInstructions);

    /// <summary>Nothing executes any more and nothing makes it: no scene is meant to come to this, but random bytes are code.</summary>
    private bool HasStalled => _limits.Count > 1000 && Instructions < _limits.Count;

    private static void RunQuantum(LockStepScene scene, MachineState state, long limit)
    {
        scene.BeforeQuantum();
        state.Take(scene.Machine, scene.Machine.Run(clockLimitCycles: limit));
    }

    /// <summary>Short ones, in which hardly anything runs native, and long ones.</summary>
    private long NextQuantum() => _draw.Below(10) switch
    {
        < 4 => 1 + _draw.Below(200),
        < 7 => 200 + _draw.Below(5_000),
        _ => 5_000 + _draw.Below(95_000),
    };

    private string? Compare(bool withMemory)
    {
        for (var i = 1; i < _scenes.Length; i++)
        {
            var difference = _states[i].DifferenceTo(_states[0]);
            if (difference is null && _scenes[i].Output != _scenes[0].Output) difference = $"its output is '{_scenes[i].Output}', not '{_scenes[0].Output}'";
            if (difference is null && withMemory) difference = MemoryDifference(_scenes[i], _scenes[0]);
            if (difference is not null) return $"{_engines[i]} against {_engines[0]}: {difference}";
        }

        return null;
    }

    private static string? MemoryDifference(LockStepScene scene, LockStepScene other)
    {
        if (scene.Machine.Hash() == other.Machine.Hash()) return null;
        return MachineState.DifferenceInMemory(scene.Machine, other.Machine) ?? "the hashes differ though registers and memory are the same";
    }

    private string Report(string difference)
    {
        var text = $"{difference}\nafter quantum {_limits.Count}, which ended at {_limits[^1]}; {_scenes[0].Description}\nreplay: {Replay}";
        return Spoil is null ? $"{text}\n{Narrow()}" : text;
    }

    /// <summary>Runs it again and again, each time less far, and says where the machines first differ.</summary>
    private string Narrow()
    {
        var last = _limits.Count - 1;

        // Memory is not compared after every quantum, so the difference may be older.
        while (last > 0 && Differs(_limits[..last])) last--;
        var (equal, different) = (last > 0 ? _limits[last - 1] : 0, _limits[last]);
        while (different - equal > 1)
        {
            var middle = equal + ((different - equal) / 2);
            if (Differs([.. _limits[..last], middle])) different = middle;
            else equal = middle;
        }

        using var before = Again(ExecutionEngine.Interpreter, equal > 0 ? [.. _limits[..last], equal] : []);
        return $"the first difference is after cycle {different}; before it: {string.Join(" | ", before.Machine.Cpus.Select(cpu => $"{cpu.Id} {cpu.DescribeNext()}, flags {RegisterNames.FlagsOf(cpu.Rflags)}"))}";
    }

    private bool Differs(List<long> limits)
    {
        var scenes = _engines.Select(engine => Again(engine, limits)).ToList();
        try
        {
            var states = scenes.ConvertAll(scene =>
            {
                var state = new MachineState();
                state.Take(scene.Machine, MachineStop.ClockLimit);
                return state;
            });
            return Enumerable.Range(1, scenes.Count - 1).Any(i => states[i].DifferenceTo(states[0]) is not null || MemoryDifference(scenes[i], scenes[0]) is not null);
        }
        finally
        {
            scenes.ForEach(scene => scene.Dispose());
        }
    }

    private LockStepScene Again(TestedEngine engine, List<long> limits)
    {
        var scene = _source.Make(_seed, engine);
        var state = new MachineState();
        foreach (var limit in limits) RunQuantum(scene, state, limit);
        return scene;
    }
}
