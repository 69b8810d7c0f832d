namespace LivePatchLab.Notebooks;

/// <summary>Console.In while the lab runs: whoever reads a line in a cell asks the cell's reader for it. Outside of cells it is at its end.</summary>
internal sealed class CellInput : TextReader
{
    private string _rest = "";

    /// <summary>The reader's answer to a question of the running cell.</summary>
    /// <param name="call">What the cell has called, for the message.</param>
    /// <param name="prompt">What the reader is shown.</param>
    /// <param name="secret">Whether what is typed stays hidden.</param>
    /// <exception cref="UserErrorException">Nobody can answer.</exception>
    public static string Ask(string call, string prompt, bool secret)
        => CellScope.Current?.Ask(prompt, secret) ?? throw new UserErrorException($"{call}: nobody can answer here; only a frontend that takes input, as Jupyter's does, can ask its reader");

    public override string? ReadLine()
    {
        if (CellScope.Current is null) return null;
        if (_rest.Length == 0) return Ask("Console.ReadLine()", "", secret: false);
        var line = _rest[..^1];
        _rest = "";
        return line;
    }

    public override int Peek() => Fill() ? _rest[0] : -1;

    public override int Read()
    {
        if (!Fill()) return -1;
        var next = _rest[0];
        _rest = _rest[1..];
        return next;
    }

    // Up to the end of a line: whoever wants more than what was typed asks again.
    public override int Read(char[] buffer, int index, int count)
    {
        if (count == 0 || !Fill()) return 0;
        var taken = Math.Min(count, _rest.Length);
        _rest.CopyTo(0, buffer, index, taken);
        _rest = _rest[taken..];
        return taken;
    }

    private bool Fill()
    {
        if (CellScope.Current is null) return false;
        if (_rest.Length == 0) _rest = Ask("Console.In", "", secret: false) + "\n";
        return true;
    }
}
