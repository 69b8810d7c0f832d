using System.IO.Enumeration;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>The cells of this session. Nothing of it is kept when the kernel ends.</summary>
internal sealed class SessionHistory
{
    private const int Session = 1;

    private readonly List<(int Line, string Code)> _cells = [];

    public void Add(int line, string code) => _cells.Add((line, code));

    /// <summary>Answers a history_request: the last n, a range, or those that a pattern with * and ? fits.</summary>
    public JupyterReply Answer(JupyterRequest request)
    {
        var found = request.Text("hist_access_type", "tail") switch
        {
            "range" => Range(request.Number("session", 0), request.Number("start", 0), request.Number("stop", int.MaxValue)),
            "search" => Last(Search(request.Text("pattern", "*"), request.Flag("unique", false)), request.Number("n", int.MaxValue)),
            "tail" => Last(_cells, request.Number("n", int.MaxValue)),
            var other => throw new BadContentException($"hist_access_type '{other}' is none of tail, range and search"),
        };
        // Cells are kept as they were typed: raw or not, they are the same.
        _ = request.Flag("raw", true);
        var output = request.Flag("output", false);
        return JupyterReply.Ok("history_reply", new() { ["history"] = new JsonArray([.. found.Select(cell => (JsonNode)Entry(cell, output))]) });
    }

    // With outputs asked for, Jupyter wants pairs of input and output; outputs are not kept here.
    private static JsonArray Entry((int Line, string Code) cell, bool output)
        => output ? [Session, cell.Line, new JsonArray(cell.Code, null)] : [Session, cell.Line, cell.Code];

    private static IEnumerable<(int Line, string Code)> Last(IEnumerable<(int Line, string Code)> cells, int count) => cells.TakeLast(Math.Max(count, 0));

    // Session 0 is this one, as it is for IPython; -1 would be the one before, of which nothing is kept.
    private IEnumerable<(int Line, string Code)> Range(int session, int start, int stop)
        => session is 0 or Session ? _cells.Where(cell => cell.Line >= start && cell.Line < stop) : [];

    private IEnumerable<(int Line, string Code)> Search(string pattern, bool unique)
    {
        var found = _cells.Where(cell => FileSystemName.MatchesSimpleExpression(pattern, cell.Code, ignoreCase: false));
        return unique ? found.Reverse().DistinctBy(cell => cell.Code).Reverse() : found;
    }
}
