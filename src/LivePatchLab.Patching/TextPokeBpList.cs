using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P3, a whole list at once: text_poke_bp_list() of the series "x86: add generic function to modify more calls using int3
/// framework" (Petr Mladek, v4 3/8, 25 November 2013, never merged). The seed of this lab.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   publish the globals; wmb
///   each: check the old code, [0] = int3; sync      from here on: traps, and the handler skips the instruction
///   each: [1..] = new;                    sync
///   each: [0] = new, tell the client;     sync      nobody can trap any more
///   retract; wmb
/// A failure ends the pass: every entry that still has its int3 gets its old code back, with a sync for each whose tail had
/// changed and one at the end. Entries that were finished stay new, and the client knows them by its callback.
/// </remarks>
[KernelName("text_poke_bp_list", File = "arch/x86/kernel/alternative.c", Version = "the seed's patch 3/8")]
public sealed class TextPokeBpList : IPatchProtocol
{
    public const string PhaseAdding = "adding breakpoints";
    public const string PhaseUpdating = "updating code";
    public const string PhaseFinishing = "finishing update";
    public const string PhaseRecovering = "recovering";

    public string Name => "text_poke_bp_list";

    public string Summary => "P3, the seed (2013): int3, tails, first bytes, with a sync after each, for the whole list at once";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed) | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(BreakpointState.In(kernel));

    /// <summary>text_poke_bp_list(): changes every entry of a list. The caller holds text_mutex.</summary>
    /// <param name="kernel">Where it runs; a failure is left in <see cref="PatchContext.Failure"/>.</param>
    /// <param name="state">The globals shared with the #BP handler.</param>
    /// <param name="iterator">The client's list.</param>
    public static IEnumerable<KernelStep> Run<T>(PatchContext kernel, BreakpointState state, TextPokeBpIter<T> iterator)
        where T : class
    {
        kernel.TextMutex.AssertHeld();
        state.LookupComparisons = iterator.IsHandledComparisons;
        var entry = new EntryStep<T>(kernel, iterator);

        yield return new PhaseMark(PhaseAdding);
        yield return KernelStep.Call(state.PublishList(iterator.Len, iterator.IsHandled));
        yield return Fence.Write;

        var report = PhaseAdding;
        yield return KernelStep.Call(entry.AddBreakpoints());
        if (entry.Error != 0) goto fail;
        yield return kernel.RunSync();

        if (iterator.Len > 1)
        {
            report = PhaseUpdating;
            yield return new PhaseMark(PhaseUpdating);
            yield return KernelStep.Call(entry.UpdateCode());
            if (entry.Error != 0) goto fail;
            yield return kernel.RunSync();
        }

        report = PhaseFinishing;
        yield return new PhaseMark(PhaseFinishing);
        yield return KernelStep.Call(entry.FinishUpdates());
        if (entry.Error != 0) goto fail;
        yield return kernel.RunSync();

    fail:
        if (entry.Error != 0)
        {
            iterator.FailCount = entry.Count;
            iterator.FailAddr = iterator.GetAddr(entry.Current!);
            yield return new PhaseMark(PhaseRecovering);
            foreach (var iter in iterator.Entries())
            {
                yield return KernelStep.Call(entry.Recover(iter));
                if (kernel.Kernel.Bug is not null) yield break;
            }

            yield return kernel.RunSync();
            kernel.Failure = new(entry.Error, report, iterator.FailCount, iterator.FailAddr, Recovered: true);
        }

        yield return state.Retract();
        yield return Fence.Write;
    }

    /// <summary>What each pass does with one entry; the functions of the seed that end in _iter_breakpoint, _iter_code, _iter_update, and recover_iter.</summary>
    private sealed class EntryStep<T>(PatchContext kernel, TextPokeBpIter<T> iterator)
        where T : class
    {
        private readonly ProbeKernelRead _read = kernel.ProbeKernelRead(default, iterator.Len);
        private readonly TextPoke _poke = kernel.TextPoke(default, default);

        /// <summary>0, or the error of the entry that ended a pass.</summary>
        public int Error { get; private set; }

        /// <summary>How many entries the pass has done.</summary>
        public int Count { get; private set; }

        /// <summary>The entry at work.</summary>
        public T? Current { get; private set; }

        /// <summary>add_iter_breakpoint() for each entry, until one fails.</summary>
        public IEnumerable<KernelStep> AddBreakpoints()
        {
            Count = 0;
            for (var iter = Begin(); iter is not null; iter = Next(iter))
            {
                yield return kernel.NextRecord();
                if (iterator.GetOldOpcode(iter) is not { } oldOpcode) continue;
                var address = iterator.GetAddr(iter);
                yield return _read.At(address, iterator.Len);
                Error = _read.Error != 0 ? Errno.Efault : _read.Bytes.SequenceEqual(oldOpcode) ? 0 : Errno.Einval;
                if (Error != 0) yield break;

                yield return _poke.At(address, BreakpointState.Int3Opcode);
                Error = _poke.Error;
                if (Error != 0) yield break;
            }
        }

        /// <summary>update_iter_code() for each entry, until one fails.</summary>
        public IEnumerable<KernelStep> UpdateCode()
        {
            Count = 0;
            for (var iter = Begin(); iter is not null; iter = Next(iter))
            {
                yield return kernel.NextRecord();
                if (iterator.GetOpcode(iter) is not { } opcode) continue;
                yield return _poke.At(iterator.GetAddr(iter) + 1, opcode.AsMemory(1));
                Error = _poke.Error;
                if (Error != 0) yield break;
            }
        }

        /// <summary>finish_iter_update() for each entry, until one fails.</summary>
        public IEnumerable<KernelStep> FinishUpdates()
        {
            Count = 0;
            for (var iter = Begin(); iter is not null; iter = Next(iter))
            {
                yield return kernel.NextRecord();
                if (iterator.GetOpcode(iter) is { } opcode)
                {
                    yield return _poke.At(iterator.GetAddr(iter), opcode.AsMemory(0, 1));
                    Error = _poke.Error;
                }

                if (Error == 0 && iterator.Finish is { } finish) Error = kernel.Call(finish, iter);
                if (Error != 0) yield break;
            }
        }

        public IEnumerable<KernelStep> Recover(T iter)
        {
            // Without old code the entry was never touched, or its client has been told that it is finished.
            if (iterator.GetOldOpcode(iter) is not { } oldOpcode) yield break;
            var address = iterator.GetAddr(iter);

            var actual = kernel.ProbeKernelRead(address, iterator.Len);
            yield return actual;
            if (actual.Error != 0)
            {
                yield return kernel.Kernel.RaiseBug($"recover_iter: {address} cannot be read");
                yield break;
            }

            if (actual.Bytes[0] != BreakpointState.Int3) yield break;
            if (!actual.Bytes[1..].SequenceEqual(oldOpcode.AsSpan(1)))
            {
                var tail = kernel.TextPoke(address + 1, oldOpcode.AsMemory(1));
                yield return tail;
                if (tail.Error != 0)
                {
                    yield return kernel.Kernel.RaiseBug($"recover_iter: the tail of {address} cannot be put back");
                    yield break;
                }

                yield return kernel.RunSync();
            }

            var first = kernel.TextPoke(address, oldOpcode.AsMemory(0, 1));
            yield return first;
            if (first.Error != 0) yield return kernel.Kernel.RaiseBug($"recover_iter: the int3 at {address} cannot be removed");
        }

        private T? Begin() => Current = iterator.Start(iterator.Init);

        /// <summary>An entry is done, and here is the one behind it.</summary>
        private T? Next(T iter)
        {
            Count++;
            var next = iterator.Next(iter);
            if (next is not null) Current = next;
            return next;
        }
    }

    private sealed class Patcher(BreakpointState state) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites) => Run(kernel, state, PatchSiteList.Iterate(sites));
    }
}
