using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>
/// How much text one cell may still write. A loop that prints for ever would otherwise fill the frontend, the notebook's file and the memory of whoever opens it.
/// </summary>
internal sealed class StreamAllowance
{
    public const int BytesMax = 8 << 20;

    /// <summary>Stands where the first text was left out.</summary>
    public const string Notice = "\n[a cell shows at most 8 MiB of text: what it writes from here on is left out]\n";

    private long _left = BytesMax;

    /// <summary>What of a text is still let through; the rest is dropped.</summary>
    /// <param name="text">As the cell writes it.</param>
    /// <param name="exhausted">Whether this very text was the first that did not fit.</param>
    public string Take(string text, out bool exhausted)
    {
        exhausted = false;
        if (_left < 0) return "";
        var bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes <= _left)
        {
            _left -= bytes;
            return text;
        }

        exhausted = true;
        var fits = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if ((_left -= rune.Utf8SequenceLength) < 0) break;
            fits += rune.Utf16SequenceLength;
        }

        _left = -1;
        return text[..fits];
    }

    /// <summary>What was written has been removed again.</summary>
    public void Renew() => _left = BytesMax;
}
