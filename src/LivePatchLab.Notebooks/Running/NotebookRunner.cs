namespace LivePatchLab.Notebooks;

/// <summary>How a notebook is run without a reader.</summary>
public sealed record NotebookRunOptions
{
    /// <summary>Where the executed notebook goes, under its own name.</summary>
    public string OutputFolder { get; init; } = "output";

    /// <summary>
    /// Have the process work in the notebook's folder meanwhile, as Jupyter and nbconvert do, so that relative names in its cells are of files beside it. A process has one such
    /// folder: not for one that runs several notebooks at once.
    /// </summary>
    public bool InItsFolder { get; init; }

    /// <summary>Also write a page that shows it, in one file.</summary>
    public bool Html { get; init; }

    /// <summary>Gives figures their images once all cells have run; null for none.</summary>
    public FigureImages? Images { get; init; }

    /// <summary>Values that take the place of the notebook's own.</summary>
    public NotebookParameters Parameters { get; init; } = NotebookParameters.None;

    /// <summary>Told what is odd but no reason to stop, a line each.</summary>
    public Action<string>? OnWarning { get; init; }

    /// <summary>Told before each code cell runs.</summary>
    public Action<CellStart>? OnCell { get; init; }

    /// <summary>Told how far a long cell is.</summary>
    public Action<Progress>? OnProgress { get; init; }
}

/// <summary>A cell is about to run.</summary>
/// <param name="Cell">Its number, counting all cells from 1.</param>
/// <param name="Cells">How many cells the notebook has.</param>
/// <param name="FirstLine">The first line of its text.</param>
public sealed record CellStart(int Cell, int Cells, string FirstLine);

/// <summary>How the run of a notebook ended.</summary>
/// <param name="CellsRun">Code cells that were run, a failing one included.</param>
/// <param name="Failure">Why it stopped; null when it ran to its end.</param>
/// <param name="WrittenFiles">Full paths; none after a failure.</param>
public sealed record NotebookRunResult(int CellsRun, CellFailure? Failure, IReadOnlyList<string> WrittenFiles)
{
    public bool Succeeded => Failure is null;
}

/// <summary>
/// Runs notebooks from top to bottom, each in a session of its own, and stops at the first cell that fails. Files are written at the end and only when all went well,
/// so what lies in the output folder is always the whole of a good run; it holds no time and no host name, so the same run gives the same bytes.
/// </summary>
public sealed class NotebookRunner(Func<NotebookSession> newSession)
{
    /// <exception cref="BadNotebookException">The file is no notebook, or its output would overwrite it.</exception>
    public async Task<NotebookRunResult> RunAsync(string path, NotebookRunOptions options, CancellationToken token = default)
    {
        var document = NotebookDocument.Read(path);
        var target = Path.GetFullPath(Path.Combine(options.OutputFolder, Path.GetFileName(path)));
        if (target == Path.GetFullPath(path))
            throw new BadNotebookException($"{path}: the executed notebook would overwrite it; name another output folder");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach (var warning in options.Parameters.PutInto(document)) options.OnWarning?.Invoke(warning);
        var (run, failure) = await RunAsync(document, folder, options, token);
        if (failure is not null)
            return new(run, failure, []);
        if (options.Images is { } images)
            await images.CompleteAsync(document.Cells.SelectMany(cell => cell.Outputs));
        // Both texts are made before either is written: a page that cannot be made must not leave a lone notebook behind.
        var notebook = document.ToJson();
        var page = options.Html ? HtmlPage.Write(document, Path.GetFileNameWithoutExtension(path), folder) : null;
        var written = new List<string> { target };
        AtomicFile.Write(target, notebook);
        if (page is not null)
        {
            written.Add(Path.ChangeExtension(target, ".html"));
            AtomicFile.Write(written[^1], page);
        }
        return new(run, null, written);
    }

    /// <summary>Runs the cells of a document that lies in a folder, and puts their outputs into it.</summary>
    public async Task<(int CellsRun, CellFailure? Failure)> RunAsync(NotebookDocument document, string folder, NotebookRunOptions options, CancellationToken token = default)
    {
        var before = Environment.CurrentDirectory;
        if (options.InItsFolder)
            Environment.CurrentDirectory = folder;
        try
        {
            return await RunAsync(document, options, token);
        }
        finally
        {
            if (options.InItsFolder)
                Environment.CurrentDirectory = before;
        }
    }

    /// <summary>Runs the cells and puts their outputs into the document.</summary>
    public async Task<(int CellsRun, CellFailure? Failure)> RunAsync(NotebookDocument document, NotebookRunOptions options, CancellationToken token = default)
    {
        var session = newSession();
        var run = 0;
        var collectors = new List<(int Cell, OutputCollector Output)>();
        foreach (var (index, cell) in document.Cells.Index().Where(each => each.Item.Kind == CellKind.Code))
        {
            cell.Outputs.Clear();
            cell.ExecutionCount = null;
            if (string.IsNullOrWhiteSpace(cell.Source))
                continue;
            options.OnCell?.Invoke(new(index + 1, document.Cells.Count, cell.Source.TrimStart().Split('\n')[0]));
            var output = new OutputCollector(options.OnProgress, cell.Outputs);
            collectors.Add((index + 1, output));
            var result = await session.RunCellAsync(cell.Source, index + 1, output, token);
            cell.ExecutionCount = ++run;
            if (result.Value is not null)
                output.Add(new ResultOutput(run, result.Value));
            if (result.Failure is not null)
                output.Add(result.Failure.ToOutput());
            output.Complete();
            if (result.Failure is not null && (token.IsCancellationRequested || !cell.HasTag(NotebookCell.RaisesException)))
                return (run, result.Failure);
        }
        foreach (var (cell, late) in collectors.Select(each => (each.Cell, each.Output.Late)).Where(each => each.Late.Length > 0))
            options.OnWarning?.Invoke($"cell {cell} wrote after its end, and no notebook holds that: {CellErrors.OneLine(late.Length <= LateCharactersShown ? late : late[..LateCharactersShown] + "…")}");
        return (run, null);
    }

    private const int LateCharactersShown = 100;
}
