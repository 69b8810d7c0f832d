using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Directives;
using Microsoft.DotNet.Interactive.Events;

namespace LivePatchLab.Interactive.Tests;

/// <summary>A session of the stand-in for .NET Interactive.</summary>
internal sealed class StandInHost
{
    private readonly CompositeKernel _kernel = new();

    public IReadOnlyCollection<KernelDirective> Directives => _kernel.KernelInfo.SupportedDirectives;

    public IReadOnlyCollection<string> VariableNames => _kernel.CSharp.VariableNames;

    public static async Task<StandInHost> WithLabAsync()
    {
        var host = new StandInHost();
        (await host.InstallAsync(PackedExtension.Root)).ShouldBeNull();
        return host;
    }

    /// <summary>What <c>#r "nuget:…"</c> does once the package is restored: references what is in lib, then runs the script.</summary>
    /// <returns>Why the cell failed, or null.</returns>
    public Task<string?> InstallAsync(string package)
    {
        _kernel.CSharp.AddAssemblyReferences(Directory.GetFiles(Path.Combine(package, "lib", "net10.0"), "*.dll"));
        return ImportAsync(Path.Combine(package, "interactive-extensions", "dotnet", "extension.dib"));
    }

    public async Task<string?> ImportAsync(string dib) => (await RunAsync(await File.ReadAllTextAsync(dib))).Error;

    public async Task<CellRun> RunAsync(string cell, CancellationToken cancellation = default)
        => new((await _kernel.SendAsync(new SubmitCode(cell), cancellation)).Events);

    /// <summary>A cell that must not fail.</summary>
    public async Task<CellRun> RunWellAsync(string cell)
    {
        var run = await RunAsync(cell);
        run.Error.ShouldBeNull(cell);
        return run;
    }

    public T Variable<T>(string name) => _kernel.CSharp.TryGetValue<T>(name, out var value) ? value : throw new ShouldAssertException($"there is no variable {name}");

    /// <summary>Events since the session began, also those of a cell that still runs.</summary>
    public IReadOnlyList<KernelEvent> Events => _kernel.Events;
}

/// <summary>What a cell has left.</summary>
internal sealed record CellRun(IReadOnlyList<KernelEvent> Events)
{
    public string? Error => Events.OfType<CommandFailed>().FirstOrDefault()?.Message;

    public IReadOnlyList<DisplayEvent> Displays => [.. Events.OfType<DisplayEvent>()];

    /// <summary>What stands under the cell when it has ended: one event for each output, the last of those that replace one another.</summary>
    public IReadOnlyList<KernelEvent> Shown
    {
        get
        {
            var shown = new List<KernelEvent>();
            foreach (var happened in Events)
            {
                var at = happened is DisplayedValueUpdated updated ? shown.FindIndex(each => each is DisplayEvent display && display.ValueId == updated.ValueId) : -1;
                if (at >= 0)
                    shown[at] = happened;
                else if (happened is DisplayedValueProduced or ReturnValueProduced or StandardOutputValueProduced)
                    shown.Add(happened);
            }
            return shown;
        }
    }

    /// <summary>The plain text of the only output.</summary>
    public string Plain => Shown.ShouldHaveSingleItem().ShouldBeAssignableTo<DisplayEvent>()!.Forms["text/plain"];
}
