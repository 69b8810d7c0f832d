using System.Diagnostics;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>How far an exploration is.</summary>
/// <param name="Executions">Executions run so far.</param>
/// <param name="ExecutionsMax">The most that will be run; an exhaustive search may end sooner.</param>
/// <param name="ExecutionsPerSecond">All threads together.</param>
public readonly record struct ExplorationProgress(long Executions, long ExecutionsMax, double ExecutionsPerSecond);

/// <summary>What a search of one scenario came to, before anything is made of it.</summary>
/// <param name="Executions">How many executions were run; for seeds, up to and with the first that violates.</param>
/// <param name="Transitions">Transitions of all of them.</param>
/// <param name="IsComplete">The search had nothing left.</param>
/// <param name="Bound">What it covers.</param>
/// <param name="Violating">The decisions of the first violating execution, or null.</param>
/// <param name="Ordinal">That execution's number, from 0.</param>
/// <param name="CutOff">Executions that were too long.</param>
/// <param name="Straying">What the first of these was doing in the end.</param>
/// <param name="NotDeterministic">Why an execution did not come out the same when it was run again; null while all did.</param>
/// <param name="Refusal">How the patcher has failed where it has done so in every execution, before it had stored anything; null otherwise.</param>
internal sealed record SearchOutcome(
    long Executions, long Transitions, bool IsComplete, string Bound, DecisionList? Violating, long Ordinal, long CutOff, string? Straying, string? NotDeterministic, PatchFailure? Refusal);

/// <summary>Runs a search over the executions of a scenario, on all processors where its executions are independent, until something is violated or nothing is left.</summary>
internal sealed class Searcher(Func<Scenario> makeScenario, FetchModel model, IStrategy strategy, Seed seed, long executionsMax)
{
    /// <summary>One of so many executions is run a second time.</summary>
    private const int GuardShare = 256;

    private const int SeedsAtOnce = 64;

    /// <summary>When this many executions were run and none of them ended, none will.</summary>
    private const int StrayingMax = 16;

    private readonly Lock _lock = new();
    private long _next;
    private long _executions;
    private long _transitions;
    private long _cutOff;
    private string? _straying;
    private long _firstViolating = long.MaxValue;
    private DecisionList? _violating;
    private string? _notDeterministic;
    private PatchFailure? _refusal;
    private bool _hasPatched;
    private string _bound = "";
    private bool _isComplete;

    public SearchOutcome Run(CancellationToken cancellation, Action<ExplorationProgress>? progress)
    {
        var started = Stopwatch.GetTimestamp();
        var threads = strategy.IsRandom ? Environment.ProcessorCount : 1;
        if (threads == 1)
        {
            Work(cancellation, () => Tell(progress, started));
        }
        else
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var workers = new Task[threads];
            for (var i = 0; i < threads; i++)
            {
                workers[i] = Task.Factory.StartNew(
                    () =>
                    {
                        try
                        {
                            Work(stop.Token, null);
                        }
                        catch
                        {
                            stop.Cancel();
                            throw;
                        }
                    },
                    CancellationToken.None,
                    TaskCreationOptions.LongRunning,
                    TaskScheduler.Default);
            }

            Await(workers, () => Tell(progress, started));
        }

        cancellation.ThrowIfCancellationRequested();
        var executions = _violating is null ? _executions : strategy.IsRandom ? _firstViolating + 1 : _executions;
        return new(executions, _transitions, _isComplete, _bound, _violating, _firstViolating, _cutOff, _straying, _notDeterministic, _hasPatched ? null : _refusal);
    }

    private static void Await(Task[] workers, Action tell)
    {
        while (!Task.WaitAll(workers.Select(w => w.ContinueWith(_ => { }, TaskScheduler.Default)).ToArray(), 100)) tell();
        if (workers.FirstOrDefault(w => w.Exception?.InnerException is not (null or OperationCanceledException)) is { } failed)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed.Exception!.InnerException!);
    }

    private void Tell(Action<ExplorationProgress>? progress, long started)
        => progress?.Invoke(new(_executions, executionsMax, _executions / Math.Max(1e-9, Stopwatch.GetElapsedTime(started).TotalSeconds)));

    private void Work(CancellationToken cancellation, Action? tell)
    {
        using var machine = new ScenarioMachine(makeScenario(), model) { ForgetsStores = strategy.IsRandom };
        try
        {
            Work(machine, strategy.Begin(seed), cancellation, tell);
        }
        catch (NotDeterministicException e)
        {
            lock (_lock) _notDeterministic ??= $"{e.Message}: something outside the machine's choices decides";
        }
    }

    private void Work(ScenarioMachine machine, ISearch search, CancellationToken cancellation, Action? tell)
    {
        while (TryTake(out var first, out var end))
        {
            var transitions = 0L;
            var ordinal = first;
            for (; ordinal < end; ordinal++)
            {
                if ((ordinal & 63) == 0) cancellation.ThrowIfCancellationRequested();
                if (!search.TryBegin(ordinal))
                {
                    lock (_lock) _isComplete = true;
                    break;
                }

                var isGuarded = ordinal % GuardShare == 0;
                var howItEnded = machine.Execute(search, records: isGuarded);
                transitions += machine.Transitions;
                if (howItEnded == ExecutionEnd.TooLong && NoteStraying(machine, ordinal + 1 - first))
                {
                    ordinal++;
                    break;
                }

                if (howItEnded == ExecutionEnd.Complete && !_hasPatched) NoteRefusal(machine.Run.Refusal);
                var violation = machine.Run.Violation;
                if (isGuarded && howItEnded != ExecutionEnd.Abandoned && !ComesOutAgain(machine)) return;
                if (violation is null) continue;
                NoteViolation(machine, search, ordinal);
                ordinal++;
                break;
            }

            lock (_lock)
            {
                _executions += ordinal - first;
                _transitions += transitions;
                _bound = search.Bound;
            }

            tell?.Invoke();
            if (_straying is not null && _cutOff == _executions && _cutOff >= StrayingMax) return;
        }
    }

    /// <summary>True when it is no use to go on.</summary>
    private bool NoteStraying(ScenarioMachine machine, long executionsHere)
    {
        lock (_lock)
        {
            _cutOff++;
            _straying ??= machine.WhatRuns();
            return _cutOff >= StrayingMax && _cutOff == _executions + executionsHere;
        }
    }

    /// <summary>One execution in which the patcher did something is enough; most are such.</summary>
    private void NoteRefusal(PatchFailure? refusal)
    {
        lock (_lock)
        {
            _refusal ??= refusal;
            _hasPatched |= refusal is null;
        }
    }

    private bool TryTake(out long first, out long end)
    {
        lock (_lock)
        {
            first = _next;
            end = Math.Min(executionsMax, first + (strategy.IsRandom ? SeedsAtOnce : 4096));
            _next = end;
            return first < end && !_isComplete && _notDeterministic is null && first < _firstViolating && (strategy.IsRandom || _violating is null);
        }
    }

    private void NoteViolation(ScenarioMachine machine, ISearch search, long ordinal)
    {
        // What was not recorded is known by its answers: a second run with the same answers records them.
        var recorded = Record(machine, search, ordinal);
        lock (_lock)
        {
            if (ordinal >= _firstViolating) return;
            _firstViolating = ordinal;
            _violating = recorded;
        }
    }

    private static DecisionList Record(ScenarioMachine machine, ISearch search, long ordinal)
    {
        if (machine.Decisions is { Count: > 0 } known) return known;
        search.Repeat(ordinal);
        machine.Execute(search, records: true);
        return machine.Decisions;
    }

    /// <summary>Runs the execution that ran last once more, by its decisions.</summary>
    private bool ComesOutAgain(ScenarioMachine machine)
    {
        var (hash, violation, transitions) = (machine.Machine.Hash(), machine.Run.Violation, machine.Transitions);
        var decisions = machine.Decisions;
        var replay = new ReplaySearch(decisions);
        replay.TryBegin(0);
        try
        {
            machine.Execute(replay, records: true);
            if (machine.Machine.Hash() == hash && machine.Run.Violation == violation && machine.Transitions == transitions) return true;
        }
        catch (BadInputException)
        {
            // Something else was asked than before: that is another run too.
        }

        lock (_lock) _notDeterministic ??= $"the same decisions gave another run ({decisions}): something outside the machine's choices decides";
        return false;
    }
}
