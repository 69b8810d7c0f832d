using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Console.Out and Console.Error while the lab runs: text of a cell goes to that cell, everything else where it went before.</summary>
internal sealed class ConsoleCapture(string stream, TextWriter outside) : TextWriter
{
    private static readonly Lock InstallLock = new();

    // What Console gives back after SetOut is a synchronised wrapper; it is how we know that no cell has put another writer there.
    private static TextWriter? _out;
    private static TextWriter? _error;

    public override Encoding Encoding => Encoding.UTF8;

    /// <summary>Idempotent, and repeats itself when a cell has redirected the console.</summary>
    public static void Install()
    {
        lock (InstallLock)
        {
            if (_out is null || Console.Out != _out)
            {
                Console.SetOut(new ConsoleCapture(StreamOutput.Stdout, Console.Out));
                _out = Console.Out;
            }
            if (_error is null || Console.Error != _error)
            {
                Console.SetError(new ConsoleCapture(StreamOutput.Stderr, Console.Error));
                _error = Console.Error;
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
}
