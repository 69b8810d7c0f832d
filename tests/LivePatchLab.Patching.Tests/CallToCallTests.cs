using System.Buffers.Binary;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>
/// Bug B17: sites that call one tracer are switched to call another, while all CPUs run through them. Whoever comes by must call one of the two. A
/// handler that takes the instruction for a nop loses the call, which crashes nothing: a function that was patched live runs as it was before.
/// </summary>
public sealed class CallToCallTests
{
    private const int Cpus = 3;
    private const int OtherCallsOffset = 16;
    private const int Rounds = 40;

    public static TheoryData<string> Emulating() => [.. Protocols.Kernel.Where(p => !p.MaySkip).Select(p => p.Name)];

    public static TheoryData<string> Skipping() => [.. Protocols.Kernel.Where(p => p.MaySkip).Select(p => p.Name)];

    [Theory]
    [MemberData(nameof(Emulating))]
    public void No_call_is_lost(string protocol) => LostCalls(protocol).ShouldBeLessThanOrEqualTo(Cpus, "a CPU may be between counting its visit and making its call");

    [Theory]
    [MemberData(nameof(Skipping))]
    public void A_handler_that_skips_loses_calls(string protocol) => LostCalls(protocol).ShouldBeGreaterThan(Cpus);

    private static long LostCalls(string protocol)
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = Cpus, Sites = 200, Costs = CostPreset.Unit, Workload = Workload.Running });

        // incq %gs:16; ret
        var other = lab.Text.End;
        lab.Machine.Memory.Map(other, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        lab.Machine.Memory.Load(other, [0x65, 0x48, 0xff, 0x04, 0x25, OtherCallsOffset, 0, 0, 0, 0xc3]);
        lab.Switch(Protocols.StopMachine, enable: true).IsGood.ShouldBeTrue();

        var (visits, calls) = (lab.Visits, lab.TracerCalls);
        var toOther = lab.Text.Sites.Take(200).ToDictionary(site => site, site => Call(site, other));
        var traps = 0L;
        for (var round = 0; round < Rounds; round++)
        {
            var run = lab.Patch(Protocols.Named(protocol), [.. lab.Records.Records.Select(record =>
            {
                var (tracer, second) = (lab.Records.CallReplace(record.Ip), toOther[record.Ip]);
                return round % 2 == 0 ? new PatchSite(record.Ip, tracer, second) : new PatchSite(record.Ip, second, tracer);
            })]);
            run.IsGood.ShouldBeTrue(run.ToString());
            traps += run.Int3Hits;
        }

        if (protocol != "stop_machine") traps.ShouldBeGreaterThan(Cpus, "nobody came by while the sites were in between");
        var others = lab.Machine.Cpus.Sum(cpu => (long)lab.Machine.Memory.ReadUInt64(lab.Text.PerCpuBase(cpu.Id) + OtherCallsOffset));
        others.ShouldBeGreaterThan(0);
        return lab.Visits - visits - (lab.TracerCalls - calls) - others;
    }

    private static byte[] Call(GuestAddress site, GuestAddress target)
    {
        var call = new byte[5];
        call[0] = 0xe8;
        BinaryPrimitives.WriteInt32LittleEndian(call.AsSpan(1), (int)(target - (site + 5)));
        return call;
    }
}
