using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>A call that comes to lead elsewhere while another CPU comes by. The two displacements differ in both of their low bytes, wherever the call stands.</summary>
/// <param name="protocol">How it is patched.</param>
/// <param name="checked">What is checked.</param>
/// <param name="siteOffset">Where in its line the call begins: at 3 its displacement lies in one quadword, at 6 in two, at 62 in two lines.</param>
/// <param name="visits">How often the other CPU comes by.</param>
internal sealed class PatchedCall(IPatchProtocol protocol, Invariants @checked, int siteOffset, int visits = 1) : GalleryScenario
{
    private static readonly GuestAddress OldFunction = Text + 0x810, NewFunction = Text + 0xa44;
    private readonly GuestAddress _site = Text + 0x100 + siteOffset;

    public override string Name => $"{protocol.Name}: a call at line offset {siteOffset}, {visits} visit{(visits == 1 ? "" : "s")}";

    public override Invariants CheckedUnder(FetchModel model) => @checked;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(_site, Branch(Call, _site, OldFunction), Branch(Call, _site, NewFunction)));
        run.Machine.Cpus[0].Start(protocol.Name, run.Patch(protocol.Attach(run.Kernel)));
        run.Machine.Cpus[1].Rbx = (ulong)visits;
        StartGuest(run.Machine.Cpus[1], _site);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        // dec ebx; jnz to the call; syscall
        memory.Load(_site, [.. Branch(Call, _site, OldFunction), 0xff, 0xcb, 0x75, unchecked((byte)-9), 0x0f, 0x05]);
        memory.Load(OldFunction, [Ret]);
        memory.Load(NewFunction, [Ret]);
    }
}
