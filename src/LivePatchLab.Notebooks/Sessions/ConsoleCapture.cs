using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Console.Out and Console.Error while the lab runs: text of a cell goes to that cell, everything else where it went before. Console.In is <see cref="CellInput"/>.</summary>
internal sealed class ConsoleCapture(string stream, TextWriter outside) : TextWriter
{
    private static readonly Lock InstallLock = new();

    // What Console gives back after SetOut is a synchronised wrapper; it is how we know that no cell has put another writer there.
    private static TextWriter? _out;
    private static TextWriter? _error;
    private static TextWriter _outsideOut = TextWriter.Null;
    private static TextWriter _outsideError = TextWriter.Null;

    public override Encoding Encoding => Encoding.UTF8;

    /// <summary>Idempotent, and repeats itself when a cell has redirected the console.</summary>
    public static void Install()
    {
        lock (InstallLock)
        {
            if (_out is null || Console.Out != _out)
            {
                _outsideOut = Console.Out;
                Put();
            }
            else if (Console.Error != _error)
            {
                _outsideError = Console.Error;
                Put();
            }
        }
    }

    public override void Write(char value) => Write(value.ToString());

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void Write(string? value)
    {
        if (CellScope.Current is { } scope)
            scope.Write(stream, value ?? "");
        else
            outside.Write(value);
    }

    // One piece per line, and the same line end on every system, so that a notebook run anywhere holds the same bytes.
    public override void WriteLine(string? value) => Write(value + "\n");

    public override void WriteLine() => Write("\n");

    public override void Flush()
    {
        if (CellScope.Current is null)
            outside.Flush();
    }

    private static void Put()
    {
        if (_error is null)
            _outsideError = Console.Error;
        Console.SetOut(new ConsoleCapture(StreamOutput.Stdout, _outsideOut));
        Console.SetError(new ConsoleCapture(StreamOutput.Stderr, _outsideError));
        // Console's own reader is never asked for: on Unix that alone changes the terminal's settings.
        Console.SetIn(new CellInput());
        (_out, _error) = (Console.Out, Console.Error);
    }
}
