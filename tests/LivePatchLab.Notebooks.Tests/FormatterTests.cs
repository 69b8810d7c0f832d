namespace LivePatchLab.Notebooks.Tests;

public sealed class FormatterTests
{
    [Fact]
    public void A_type_whose_attribute_only_has_the_right_name_is_formatted_by_its_source()
    {
        var bundle = Formatter.Bundle(new Derived("<p>"));
        bundle.Select(form => form.Key).ShouldBe(["text/html", "text/plain", "application/json"]);
        bundle.Text("text/html").ShouldBe("<b>&lt;p&gt;</b>");
        bundle.Text("text/plain").ShouldBe("bold <p>");
        bundle["application/json"]!["text"]!.GetValue<string>().ShouldBe("<p>");
    }

    [Fact]
    public void A_formatter_that_declines_leaves_the_value_to_the_default()
        => Formatter.Bundle(new Declining()).Text("text/plain").ShouldBe("declined");

    [Fact]
    public void A_view_registered_for_a_type_shows_it_and_what_derives_from_it()
    {
        Formatter.Show<Viewed>(viewed => new HtmlFragment($"<i>{viewed.N}</i>", $"view {viewed.N}"));
        Formatter.Bundle(new ViewedMore { N = 3 }).Text("text/html").ShouldBe("<i>3</i>");
        Formatter.ViewedTypes.ShouldContain(typeof(Viewed));
    }

    [Fact]
    public void Scalars_and_lists_are_text()
    {
        Text(null).ShouldBe("null");
        Text("a <b>").ShouldBe("a <b>");
        Text(1.5).ShouldBe("1.5");
        Text(true).ShouldBe("true");
        Text(new[] { 1, 2, 3 }).ShouldBe("[1, 2, 3]");
        Text(Enumerable.Range(0, 23)).ShouldBe("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 … and 3 more]");
        Text(Forever()).ShouldEndWith("… and more than a million more]");
        Text(DayOfWeek.Friday).ShouldBe("Friday");
        Formatter.Bundle("x").Has("text/html").ShouldBeFalse();
    }

    [Fact]
    public void A_sequence_of_records_is_a_table_of_twenty_rows_at_most()
    {
        var bundle = Formatter.Bundle(Enumerable.Range(1, 25).Select(i => new Row($"<{i}>", i)).ToList());
        bundle.Text("text/html")!.Split("<tr>").Length.ShouldBe(22);
        bundle.Text("text/html")!.ShouldContain("<td style=\"text-align:left\">&lt;1&gt;</td>");
        bundle.Text("text/html")!.ShouldContain("… and 5 more");
        bundle.Text("text/plain")!.Split('\n').Take(4).ShouldBe(["Name   N", "----  --", "<1>    1", "<2>    2"]);
    }

    [Fact]
    public void Tuples_anonymous_objects_and_dictionaries_are_tables_too()
    {
        Text(new[] { (1, "a") }).Split('\n')[2].ShouldBe("    1  a");
        Text(new[] { new { A = 1, B = "x" } }).ShouldStartWith("A  B");
        Text(new Dictionary<string, int> { ["k"] = 2 }).ShouldStartWith("Key  Value");
    }

    [Fact]
    public void An_object_without_a_text_of_its_own_shows_its_properties_even_when_one_throws()
    {
        var text = Text(new Plain());
        text.ShouldContain("Good");
        text.ShouldContain("(NotSupportedException)");
    }

    private static string Text(object? value) => Formatter.Bundle(value).Text("text/plain")!;

    private static IEnumerable<int> Forever()
    {
        while (true)
            yield return 1;
    }

    private sealed record Row(string Name, int N);

    private class Viewed
    {
        public int N { get; init; }
    }

    private sealed class ViewedMore : Viewed;

    private sealed class Plain
    {
        public int Good => 1;

        public int Bad => throw new NotSupportedException();
    }

    [TypeFormatterSource(typeof(BoldSource), PreferredMimeTypes = ["text/html", "text/plain"])]
    private class Bold(string text)
    {
        public string Text => text;
    }

    private sealed class Derived(string text) : Bold(text);

    [TypeFormatterSource(typeof(DecliningSource))]
    private sealed class Declining
    {
        public override string ToString() => "declined";
    }

    internal sealed class BoldSource
    {
        public IEnumerable<object> CreateTypeFormatters()
        {
            yield return new BoldFormatter("application/json", bold => $$"""{"text":"{{bold.Text}}"}""");
            yield return new BoldFormatter("text/plain", bold => $"bold {bold.Text}");
            yield return new BoldFormatter("text/html", bold => $"<b>{HtmlText.Escape(bold.Text)}</b>");
        }
    }

    internal sealed class DecliningSource
    {
        public object[] CreateTypeFormatters() => [new DecliningFormatter()];
    }

    private sealed class BoldFormatter(string mimeType, Func<Bold, string> write)
    {
        public string MimeType => mimeType;

        public bool Format(object instance, TextWriter writer)
        {
            writer.Write(write((Bold)instance));
            return true;
        }
    }

    private sealed class DecliningFormatter
    {
        public string MimeType => "text/html";

        public bool Format(object instance, TextWriter writer) => false;
    }

    /// <summary>Not the lab's attribute: only its name is the same.</summary>
    [AttributeUsage(AttributeTargets.Class)]
    private sealed class TypeFormatterSourceAttribute(Type formatterSourceType) : Attribute
    {
        public Type FormatterSourceType { get; } = formatterSourceType;

        public string[] PreferredMimeTypes { get; set; } = [];
    }
}
