using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A protocol that a cell has made. What goes wrong in it is one line that names the cell's line: it throws, it does not come back, it yields for ever. The last is
/// looked for once, before it is explored, on a machine whose CPUs all get their turn: an exploration would as well starve the others, and see it yield for ever for that.
/// </summary>
internal sealed class UserProtocol : IPatchProtocol
{
    /// <summary>More steps than that for one site are without end.</summary>
    public const int StepsMax = 10_000;

    private readonly IPatchProtocol _protocol;
    private readonly Lazy<UserErrorException?> _endless;

    public UserProtocol(IPatchProtocol protocol)
    {
        _protocol = protocol;
        _endless = new(() => EndlessOrNull(protocol));
    }

    public string Name => _protocol.Name;

    public string Summary => _protocol.Summary;

    public bool MaySkip => _protocol.MaySkip;

    public Invariants PromisesUnder(FetchModel model) => _protocol.PromisesUnder(model);

    /// <exception cref="UserErrorException">It throws, or yields for ever.</exception>
    public IPatcher Attach(LinuxKernel kernel)
    {
        if (_endless.Value is { } endless) throw new UserErrorException(endless.Message);
        return Attach(_protocol, kernel, long.MaxValue);
    }

    private static Patcher Attach(IPatchProtocol protocol, LinuxKernel kernel, long stepsMax) => new(protocol.Name, Watched(protocol.Name, () => protocol.Attach(kernel)), stepsMax);

    /// <summary>Patches one site of a small machine with it; what it is told when it does not end.</summary>
    private static UserErrorException? EndlessOrNull(IPatchProtocol protocol)
    {
        var limited = new LimitedProtocol(protocol);
        try
        {
            using var machine = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 1, Costs = CostPreset.Unit, Workload = Workload.Running });
            Patch.All().With(limited).Run(machine);
            return null;
        }
        catch (Exception) when (!IsInterrupted)
        {
            // Whatever else it throws it throws in the exploration too, if it matters there, and is told of then.
            return limited.Endless;
        }
    }

    private static bool IsInterrupted => CallerCancellation.Current?.Token.IsCancellationRequested == true;

    /// <summary>Calls the cell's code, and makes one line of what it throws.</summary>
    private static T Watched<T>(string name, Func<T> code)
    {
        var call = UserCall.Enter();
        try
        {
            return code();
        }
        catch (Exception failure) when (!IsInterrupted)
        {
            throw Told(name, failure);
        }
        finally
        {
            call.Leave();
        }
    }

    private static UserErrorException Told(string name, Exception failure, bool isEndless = false)
    {
        var what = failure switch
        {
            UserCallStoppedException when isEndless => string.Create(CultureInfo.InvariantCulture, $"yields steps for ever: {StepsMax:N0} of them for one site"),
            UserCallStoppedException => $"has not yielded a step for {UserCall.Patience.TotalSeconds:0} s",
            BadInputException or UserErrorException => $"fails: {CellErrors.OneLine(failure.Message)}",
            _ => $"throws {failure.GetType().Name}: {CellErrors.OneLine(failure.Message)}",
        };
        return new($"the protocol {name} {what}{(CellErrors.ThrownIn(failure) is { } place ? $" ({place})" : "")}", failure);
    }

    private sealed class Patcher(string name, IPatcher patcher, long stepsMax) : IPatcher
    {
        private long _steps;

        public UserErrorException? Endless { get; private set; }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            _steps = 0;
            return Steps(Watched(name, () => patcher.Apply(kernel, sites)));
        }

        private IEnumerable<KernelStep> Steps(IEnumerable<KernelStep> steps)
        {
            using var each = Watched(name, steps.GetEnumerator);
            while (Next(each) is { } step) yield return step is Subroutine call ? KernelStep.Call(Steps(call.Steps)) : step;
        }

        private KernelStep? Next(IEnumerator<KernelStep> steps)
        {
            var isEndless = ++_steps > stepsMax;
            var call = UserCall.Enter();
            try
            {
                if (isEndless) call.Stop();
                if (!steps.MoveNext()) return null;
                return isEndless ? throw new UserCallStoppedException() : steps.Current ?? throw new BadInputException("it yields null where a step is due");
            }
            catch (Exception failure) when (!IsInterrupted)
            {
                var told = Told(name, failure, isEndless);
                if (failure is UserCallStoppedException) Endless = told;
                throw told;
            }
            finally
            {
                call.Leave();
            }
        }
    }

    /// <summary>The same for the trial: with a limit.</summary>
    private sealed class LimitedProtocol(IPatchProtocol protocol) : IPatchProtocol
    {
        private Patcher? _patcher;

        public UserErrorException? Endless => _patcher?.Endless;

        public string Name => protocol.Name;

        public string Summary => protocol.Summary;

        public bool MaySkip => protocol.MaySkip;

        public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

        public IPatcher Attach(LinuxKernel kernel) => _patcher = UserProtocol.Attach(protocol, kernel, StepsMax);
    }
}
