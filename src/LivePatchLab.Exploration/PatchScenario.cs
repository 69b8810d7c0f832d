using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// The plain situation: CPU 0 patches, the others come by. Each executor runs through all sites in a row, some times over; a site calls one of
/// two functions that only count, or is a nop.
/// </summary>
public class PatchScenario : Scenario
{
    /// <summary>R12 and R13 of an executor count the calls of the old and of the new function.</summary>
    public const int OldCallsRegister = 12, NewCallsRegister = 13;

    private const int VisitsRegister = 3;
    /// <summary>The page of text that the sites lie in.</summary>
    protected static readonly GuestAddress Code = new(0xffffffff81000000);

    private static readonly GuestAddress Stacks = new(0xffffffff82000000);

    // So far apart that calls of the two differ in every byte of their displacement: else a call across a boundary could be put together from both, and nobody would notice.
    private static readonly GuestAddress OldFunction = Code + 0x01234560, NewFunction = Code + 0x02356780, CallReturn = Code + 0x880;

    private readonly IPatchProtocol _protocol;
    private readonly List<(GuestAddress Address, byte[] Old, byte[] New)> _sites = [];
    private readonly byte[] _program;
    private readonly GuestAddress _entry;

    /// <param name="protocol">How the sites are patched.</param>
    /// <param name="shape">What is patched, and who comes by.</param>
    public PatchScenario(IPatchProtocol protocol, PatchShape? shape = null)
    {
        _protocol = protocol;
        Shape = shape ?? new();
        _program = LayOutProgram(out _entry);
    }

    public PatchShape Shape { get; }

    public override string Name => $"{_protocol.Name}: {Shape}";

    public override int Cpus => 1 + Shape.Executors;

    public override MemoryOrder MemoryOrder => Shape.MemoryOrder;

    public override Invariants CheckedUnder(FetchModel model) => _protocol.PromisesUnder(model);

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(_entry, _program);
        machine.Memory.Map(OldFunction.AlignDown(GuestMemory.PageBytes), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(NewFunction.AlignDown(GuestMemory.PageBytes), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(OldFunction, [0x49, 0xff, 0xc4, 0xc3]); // inc r12; ret
        machine.Memory.Load(NewFunction, [0x49, 0xff, 0xc5, 0xc3]); // inc r13; ret
        machine.Memory.Load(CallReturn, [0xf4]); // hlt
        machine.Memory.Map(Stacks, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.GuestCallReturn = CallReturn;
        machine.SystemCall = cpu => cpu.StopGuest();
    }

    public override void Begin(ScenarioRun run)
    {
        foreach (var (address, old, @new) in _sites) run.AddSite(new(address, old, @new));
        var machine = run.Machine;
        machine.Cpus[0].Start(_protocol.Name, Patch(run, _protocol.Attach(run.Kernel)));
        for (var i = 1; i <= Shape.Executors; i++)
        {
            machine.Cpus[i].Registers[VisitsRegister] = (ulong)Shape.Visits;
            machine.Cpus[i].StartGuest(_entry, Stacks + (256 * i) + 128);
        }
    }

    private static IEnumerable<KernelStep> Patch(ScenarioRun run, IPatcher patcher)
    {
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, run.Sites));
        run.HasFailed = context.Failure is not null;
        yield return run.MarkPatched();
        yield return context.TextMutex.Release();
    }

    private byte[] LayOutProgram(out GuestAddress entry)
    {
        // The loop begins with the first site, which lies where it was asked to; the others follow it.
        entry = Code + 0x100 + Shape.SiteOffset;
        var program = new List<byte>();
        for (var i = 0; i < Shape.Sites; i++)
        {
            var address = entry + program.Count;
            var (old, @new) = (CodeOf(Shape.From, address), CodeOf(Shape.To, address));
            _sites.Add((address, old, @new));
            program.AddRange(old);
        }

        program.AddRange([0xff, 0xcb]); // dec ebx
        program.AddRange([0x75, (byte)-(program.Count + 2)]); // jnz entry
        program.AddRange([0x0f, 0x05]); // syscall: done
        return [.. program];
    }

    private static byte[] CodeOf(SiteCode code, GuestAddress address)
    {
        if (code == SiteCode.Nop) return [0x0f, 0x1f, 0x44, 0x00, 0x00];
        var bytes = new byte[5];
        bytes[0] = 0xe8;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), checked((int)((code == SiteCode.CallOld ? OldFunction : NewFunction) - (address + 5))));
        return bytes;
    }
}

/// <summary>What stands at a site.</summary>
public enum SiteCode
{
    /// <summary>The five-byte nop of the kernel's ftrace.</summary>
    Nop,

    /// <summary>A call of the function that counts as the old one.</summary>
    CallOld,

    /// <summary>A call of the function that counts as the new one.</summary>
    CallNew,
}

/// <summary>What is patched in a <see cref="PatchScenario"/>, and who comes by.</summary>
public sealed record PatchShape
{
    /// <summary>Sites in a row, 1 to 8.</summary>
    public int Sites
    {
        get;
        init => field = value is >= 1 and <= 8 ? value : throw new BadInputException($"{value} sites: a scenario has 1 to 8");
    } = 1;

    /// <summary>CPUs that come by, 1 to 7.</summary>
    public int Executors
    {
        get;
        init => field = value is >= 1 and <= 7 ? value : throw new BadInputException($"{value} executors: a scenario has 1 to 7");
    } = 1;

    /// <summary>How often each executor comes by, 1 to 8.</summary>
    public int Visits
    {
        get;
        init => field = value is >= 1 and <= 8 ? value : throw new BadInputException($"{value} visits: an executor comes by 1 to 8 times");
    } = 1;

    /// <summary>Where in a 64-byte line the first site begins: at 5 it crosses an 8-byte boundary, at 61 also the end of the line, at 0 neither.</summary>
    public int SiteOffset
    {
        get;
        init => field = value is >= 0 and <= 63 ? value : throw new BadInputException($"offset {value}: a site begins at byte 0 to 63 of a line");
    } = 5;

    public SiteCode From { get; init; } = SiteCode.CallOld;

    public SiteCode To { get; init; } = SiteCode.CallNew;

    public MemoryOrder MemoryOrder { get; init; } = MemoryOrder.SequentiallyConsistent;

    public override string ToString()
        => $"{Sites} site{(Sites == 1 ? "" : "s")} {Show(From)} -> {Show(To)} at line offset {SiteOffset}, {Executors} executor{(Executors == 1 ? "" : "s")}, {Visits} visit{(Visits == 1 ? "" : "s")}";

    private static string Show(SiteCode code) => code switch
    {
        SiteCode.Nop => "nop",
        SiteCode.CallOld => "call old",
        _ => "call new",
    };
}
