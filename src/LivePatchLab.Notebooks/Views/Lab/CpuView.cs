using System.Globalization;
using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>A CPU: its registers, with a sign at those that have changed since the debugger last let it run, and what it does.</summary>
internal static class CpuView
{
    private const int Columns = 2;
    private const string ChangedSign = "*";
    private static readonly string[] Order = ["rax", "r8", "rbx", "r9", "rcx", "r10", "rdx", "r11", "rsi", "r12", "rdi", "r13", "rbp", "r14", "rsp", "r15"];

    public static HtmlFragment Of(Cpu cpu)
    {
        var before = cpu.Machine.Debugger.RegistersBefore(cpu);
        var cells = Order.Select(name => Register(cpu, name, before)).ToArray();
        var next = Of(cpu, "rip", before, cpu.DescribeNext());
        var flags = Of(cpu, "rflags", before, RegisterNames.FlagsOf(cpu.Rflags) is { Length: > 0 } set ? set : "no flag is set");
        var changed = cells.Append(next).Append(flags).Any(cell => cell.Changed);
        var view = new ViewBuilder().Headline(cpu.Id.ToString(), $": {Activity(cpu)}; clock {ViewBuilder.Plural(cpu.ClockCycles, "cycle")}, {ViewBuilder.Plural(cpu.RetiredInstructions, "instruction")} retired"
                + (cpu.PendingIpiCount > 0 ? $", {ViewBuilder.Plural(cpu.PendingIpiCount, "IPI")} pending" : ""))
            .Part(Html(cells, [next, flags]), $"\n{Text(cells, [next, flags])}");
        if (changed) view.Footnote($"{ChangedSign} changed since the debugger last let the machine run");
        return view.Build();
    }

    /// <summary>What a CPU does, in words.</summary>
    public static string Activity(Cpu cpu) => (cpu.Routine, cpu.Activity) switch
    {
        ({ } routine, _) => $"kernel code: {routine.Name}",
        (_, CpuActivity.Guest) => "executes guest code",
        (_, CpuActivity.Halted) => "halted by HLT",
        (_, CpuActivity.Parked) => "offline",
        _ => "idle",
    };

    private static Shown Register(Cpu cpu, string name, IReadOnlyList<ulong>? before)
        => Of(cpu, name, before, cpu.Machine.CodeMap?.NameOf(new(cpu[name])) is { } symbol ? $"{cpu[name]:x16}  {symbol}" : cpu[name].ToString("x16", CultureInfo.InvariantCulture));

    private static Shown Of(Cpu cpu, string name, IReadOnlyList<ulong>? before, string text)
        => new(name, text, before is not null && before[RegisterNames.IndexOf(name)] != cpu[name]);

    private static string Html(Shown[] registers, Shown[] wide)
    {
        var html = new StringBuilder("<table><tbody>");
        foreach (var row in registers.Chunk(Columns))
        {
            html.Append("<tr>");
            foreach (var cell in row) Cell(html, cell, "");
            html.Append("</tr>");
        }

        foreach (var cell in wide)
        {
            html.Append("<tr>");
            Cell(html, cell, " colspan=\"3\"");
            html.Append("</tr>");
        }

        return html.Append("</tbody></table>").ToString();
    }

    private static void Cell(StringBuilder html, Shown cell, string span)
        => html.Append("<th scope=\"row\" style=\"").Append(CodeStyle.Cell).Append("\">").Append(HtmlText.Escape(cell.Name)).Append("</th><td").Append(span).Append(" style=\"").Append(CodeStyle.Cell)
            .Append(cell.Changed ? CodeStyle.Current : "").Append("\">").Append(HtmlText.Escape(cell.Signed)).Append("</td>");

    private static string Text(Shown[] registers, Shown[] wide)
    {
        var width = registers.Where((_, i) => i % Columns == 0).Max(cell => cell.Signed.Length);
        return string.Join('\n', registers.Chunk(Columns).Select(row => $"{row[0].Name,-6}  {row[0].Signed.PadRight(width)}  {row[1].Name,-6}  {row[1].Signed}".TrimEnd())
            .Concat(wide.Select(cell => $"{cell.Name,-6}  {cell.Signed}")));
    }

    private readonly record struct Shown(string Name, string Text, bool Changed)
    {
        public string Signed => Changed ? $"{Text} {ChangedSign}" : Text;
    }
}
