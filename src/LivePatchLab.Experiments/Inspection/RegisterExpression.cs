using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>
/// Expressions on a CPU's registers: <c>rdi + 8*rcx</c>, <c>[rsp+8]</c>, <c>increment+4</c>. Registers, symbols, decimal and 0x
/// numbers; + - * and parentheses; brackets read the 64-bit word at an address. 64 bits, without overflow, as LEA computes. A
/// name that is both a register's and a symbol's is the register's.
/// </summary>
internal sealed class RegisterExpression
{
    /// <summary>Brackets and signs inside each other; more is a mistake, and must not exhaust the stack.</summary>
    private const int DepthMax = 100;

    private readonly Cpu _cpu;
    private readonly string _text;
    private int _at;
    private int _depth;

    private RegisterExpression(Cpu cpu, string text)
    {
        _cpu = cpu;
        _text = text;
    }

    /// <exception cref="BadInputException">It is no such expression, or memory that it reads is not mapped; the message names the column, from 1.</exception>
    public static ulong Evaluate(Cpu cpu, string text)
    {
        var expression = new RegisterExpression(cpu, text);
        var value = expression.Sum();
        return expression._at == text.Length ? value : throw expression.Wrong(expression._at, $"'{text[expression._at]}' is not expected here");
    }

    private ulong Sum()
    {
        var value = Product();
        while (true)
        {
            if (Takes('+')) value += Product();
            else if (Takes('-')) value -= Product();
            else return value;
        }
    }

    private ulong Product()
    {
        var value = Signed();
        while (Takes('*')) value *= Signed();
        return value;
    }

    private ulong Signed()
    {
        if (++_depth > DepthMax) throw Wrong(_at, $"more than {DepthMax} brackets and signs inside each other");
        var value = Takes('-') ? 0 - Signed() : Primary();
        _depth--;
        return value;
    }

    private ulong Primary()
    {
        if (Takes('(')) return Closed(')', _at - 1);
        if (Takes('[')) return Read(_at - 1);
        var start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '_' or '.')) _at++;
        var word = _text[start.._at];
        SkipSpaces();
        if (word.Length == 0) throw Wrong(start, start < _text.Length ? $"'{_text[start]}' is not expected here" : "a register, a number or a symbol is missing at the end");
        return char.IsAsciiDigit(word[0]) ? Number(word, start) : Named(word, start);
    }

    private ulong Closed(char closing, int opened)
    {
        var value = Sum();
        return Takes(closing) ? value : throw Wrong(opened, $"'{_text[opened]}' is not closed");
    }

    private ulong Read(int opened)
    {
        var address = new GuestAddress(Closed(']', opened));
        return _cpu.Machine.Memory.IsMapped(address, 8) ? _cpu.Machine.Memory.ReadUInt64(address) : throw Wrong(opened, $"the 8 bytes at {address} are not mapped");
    }

    private ulong Number(string word, int start)
    {
        var isHex = word.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ulong.TryParse(isHex ? word[2..] : word, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Wrong(start, $"'{word}' is no 64-bit number; hexadecimal ones begin with 0x");
    }

    private ulong Named(string word, int start)
    {
        if (RegisterNames.IndexOf(word) >= 0) return _cpu[word];
        return _cpu.Machine.CodeMap is { } map && map.TryFind(word, out var address)
            ? address.Value
            : throw Wrong(start, $"'{word}' is neither a register nor a symbol here.{Suggestion.Question(RegisterNames.All, word)}".TrimEnd('.'));
    }

    private bool Takes(char wanted)
    {
        SkipSpaces();
        if (_at >= _text.Length || _text[_at] != wanted) return false;
        _at++;
        SkipSpaces();
        return true;
    }

    private void SkipSpaces()
    {
        while (_at < _text.Length && _text[_at] == ' ') _at++;
    }

    private BadInputException Wrong(int at, string problem) => new($"\"{_text}\", column {at + 1}: {problem}");
}
