using LivePatchLab.Experiments;
using LivePatchLab.Exploration;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>How the lab's own types are shown. They themselves know nothing of HTML, and no view shows a time of this computer: what is shown is the same in every run.</summary>
public static class LabViews
{
    private static readonly Lazy<bool> Installed = new(() =>
    {
        Formatter.Show<PatchRun>(PatchRunView.Of);
        Formatter.Show<PatchTrace>(PatchTraceView.Of);
        Formatter.Show<PatchRecording>(TimelineView.Of);
        Formatter.Show<SiteBytes>(SiteBytesView.Of);
        Formatter.Show<StallRecord>(StallView.Of);
        Formatter.Show<CodeListing>(DisassemblyView.Of);
        Formatter.Show<Cpu>(CpuView.Of);
        Formatter.Show<MemoryDump>(MemoryDumpView.Of);
        Formatter.Show<StackListing>(StackView.Of);
        Formatter.Show<Program>(ProgramView.Of);
        Formatter.Show<DebuggerStop>(stop => new ViewBuilder().Paragraph(stop.Text).Build());
        Formatter.Show<GuestValue>(value => new ViewBuilder().Paragraph(value.ToString()).Build());
        Formatter.Show<GuestFault>(fault => new ViewBuilder().Alarm(fault.ToString()).Build());
        Formatter.Show<SweepResult>(SweepView.Of);
        Formatter.Show<LabMachine>(LabMachineView.Of);
        Formatter.Show<KernelInfo>(KernelView.Of);
        Formatter.Show<KernelImage>(image => KernelView.Of(image.Info()));
        Formatter.Show<SiteTable>(KernelView.Of);
        Formatter.Show<ProgramImage>(KernelView.Of);
        Formatter.Show<CostModel>(model => CostView.Of(model, null));
        Formatter.Show<CostPreset>(preset => CostView.Of(preset.Costs, preset.Load));
        Formatter.Show<ExplorationResult>(ExplorationResultView.Of);
        Formatter.Show<ExplorationPlan>(plan => ExplorationResultView.Of(Exploring.RunIn(CellScope.Current, plan, CellScope.Current?.Cancellation ?? CancellationToken.None)));
        Formatter.Show<Counterexample>(CounterexampleView.Of);
        Formatter.Show<GalleryReport>(GalleryReportView.Of);
        Formatter.Show<FetchModel>(model => FetchModelView.Of([model]));
        return true;
    });

    /// <summary>Registers the views; a second call does nothing.</summary>
    public static void Install() => _ = Installed.Value;
}
