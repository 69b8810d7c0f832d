using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>
/// The lab as an extension of .NET Interactive, without a reference to it: <c>register.csx</c>, which runs in the host, joins the two. Only types of .NET and of
/// this assembly cross the seam.
/// </summary>
public static class LabExtension
{
    private static readonly MagicTable Magics = LabMagics.Table();

    /// <summary>The cell that runs now, on the flow of execution that asks; null outside of cells. Set by the host.</summary>
    public static Func<HostCell?> CurrentCell { get; set; } = () => null;

    /// <summary>One for each magic.</summary>
    public static IReadOnlyList<LabDirective> Directives { get; } = [.. Magics.Select(LabDirective.Of)];

    /// <summary>The using lines of the lab's own sessions, for C# cells that are written for those.</summary>
    public static string Usings { get; } = string.Concat(
        CSharpSessionOptions.Lab.Usings.Select(space => $"using {space};\n")
            .Concat(CSharpSessionOptions.Lab.StaticUsings.Append(typeof(LabCell).FullName).Select(type => $"using static {type};\n")));

    /// <summary>Types that are shown by views and carry no attribute that the host would find.</summary>
    public static IReadOnlyCollection<Type> ViewedTypes => [.. Formatter.ViewedTypes];

    /// <summary>Types whose values are not to be shown: the handle that is the value of a cell's last <c>display</c>.</summary>
    public static IReadOnlyCollection<Type> SilentTypes { get; } = [typeof(DisplayHandle)];

    public static void WriteHtml(object value, TextWriter writer) => writer.Write(View(value).ToHtml());

    public static void WritePlain(object value, TextWriter writer) => writer.Write(View(value).ToString());

    /// <summary>Carries out a line.</summary>
    /// <returns>What the user did wrong or what failed, in one line; null when all went well.</returns>
    /// <exception cref="OperationCanceledException">The cell was cancelled.</exception>
    public static async Task<string?> RunAsync(LabDirectiveCall call)
    {
        var variables = new HostVariables(call);
        var problem = await ProblemOf(call, variables);
        await variables.HandOverAsync();
        return problem;
    }

    private static async Task<string?> ProblemOf(LabDirectiveCall call, HostVariables variables)
    {
        var cancellation = call.Cell.Cancellation;
        try
        {
            var magic = Magics.Find(call.Name[Magic.Prefix.Length..]) ?? throw new UserErrorException($"the lab has no magic {call.Name}");
            var line = DirectiveLine.Read(magic, Magics, call);
            cancellation.ThrowIfCancellationRequested();
            // Off the host's thread, which has to hear of the cancellation.
            await Task.Run(() => magic.Handler(new MagicCall(line, HostOutput.Of(call.Cell), variables, cancellation)), CancellationToken.None);
            return null;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception failure)
        {
            return CellErrors.Describe(failure, cell: 0, cellName: "", cancellation).Messages[0].Text;
        }
    }

    // A formatter that throws fails the cell, even one that has done its work; what cannot be shown says so in its place.
    private static HtmlFragment View(object value)
    {
        try
        {
            return HostView.Of(Formatter.Bundle(value));
        }
        catch (Exception failure)
        {
            return HostView.Of(new(MimeBundle.Plain, $"{value.GetType().Name} cannot be shown: {CellErrors.Unwrapped(failure).Message}"));
        }
    }
}
