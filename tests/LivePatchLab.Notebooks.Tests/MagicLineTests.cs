using LivePatchLab.Linux;
using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Notebooks.Tests;

public sealed class MagicLineTests
{
    private static readonly MagicTable Table = TestMagics.Table();

    [Theory]
    [InlineData("#!pach --engine stop_machine", "no magic named '#!pach'. Did you mean #!patch?  (#!lab lists all 6)")]
    [InlineData("#!", "no magic named '#!'.  (#!lab lists all 6)")]
    [InlineData("#!Patch", "no magic named '#!Patch'. Did you mean #!patch?  (#!lab lists all 6)")]
    [InlineData("#!patch --engin stop_machine", "#!patch has no parameter --engin. Did you mean --engine?  (it has --engine, --sites, --json)")]
    [InlineData("#!patch --engine text_poke_bp_lst", "#!patch: no engine named 'text_poke_bp_lst'. Did you mean text_poke_bp_list?  (--engine: stop_machine, text_poke_bp, text_poke_bp_list)")]
    [InlineData("#!patch --engine zzz", "#!patch: no engine named 'zzz'.  (--engine: stop_machine, text_poke_bp, text_poke_bp_list)")]
    [InlineData("#!patch", "#!patch needs --engine: the protocol")]
    [InlineData("#!patch --engine", "#!patch: --engine needs a value: the protocol")]
    [InlineData("#!patch --engine --json", "#!patch: --engine needs a value: the protocol")]
    [InlineData("#!patch --engine=stop_machine", "#!patch: write '--engine stop_machine', without '='")]
    [InlineData("#!patch --engine stop_machine --engine stop_machine", "#!patch: --engine is given twice")]
    [InlineData("#!patch --engine stop_machine --json --json", "#!patch: --json is given twice")]
    [InlineData("#!patch --engine stop_machine --json yes", "#!patch does not know what to do with 'yes'. --json takes no value.")]
    [InlineData("#!patch stop_machine", "#!patch does not know what to do with 'stop_machine'.  (it has --engine, --sites, --json)")]
    [InlineData("#!count 3", "#!count does not know what to do with '3'. It has no parameters.")]
    [InlineData("#!lab one two", "#!lab does not know what to do with 'two'.  (it has --what)")]
    [InlineData("#!lab 'one two'", "#!lab: single quotes do not quote here; write --what \"…\"")]
    [InlineData("#!lab @csharp:x", "#!lab: '@csharp:x' would be read as a reference in .NET Interactive; put it in double quotes")]
    [InlineData("#!lab \"open", "a double quote is opened in column 7 and never closed")]
    public void What_a_line_gets_wrong_is_said_in_one_sentence(string line, string message)
        => Should.Throw<UserErrorException>(() => MagicLine.Parse(line, Table)).Message.ShouldBe(message);

    [Theory]
    [InlineData("#!patch --engine stop_machine", "engine=stop_machine")]
    [InlineData("#!patch   --sites  -5 --json\t--engine stop_machine  ", "sites=-5;json=true;engine=stop_machine")]
    [InlineData("#!lab", "")]
    [InlineData("#!lab protocols", "what=protocols")]
    [InlineData("#!lab \"a  b\"", "what=a  b")]
    [InlineData("#!lab --what \"--json\"", "what=--json")]
    [InlineData("#!lab \"C:\\a b\\\"", "what=C:\\a b\\")]
    [InlineData("#!lab \"@x\"", "what=@x")]
    public void A_right_line_gives_its_arguments(string line, string arguments)
        => string.Join(';', MagicLine.Parse(line, Table).Arguments.Select(pair => $"{pair.Key}={pair.Value}")).ShouldBe(arguments);

    [Fact]
    public void Any_text_without_double_quotes_and_line_ends_comes_through_quoted_unchanged()
        => Prop.ForAll(ArbMap.Default.ArbFor<NonNull<string>>(), text =>
        {
            var value = text.Get.Replace("\"", "", StringComparison.Ordinal).ReplaceLineEndings("");
            return MagicLine.Parse($"#!lab --what \"{value}\"", Table).Arguments["what"] == value;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Any_line_is_either_parsed_or_refused_as_the_users_error()
        => Prop.ForAll(ArbMap.Default.ArbFor<NonNull<string>>(), text =>
        {
            try
            {
                MagicLine.Parse("#!" + text.Get.ReplaceLineEndings(" "), Table);
            }
            catch (UserErrorException refused)
            {
                return refused.Message.Length > 0;
            }
            return true;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Distance_is_a_metric_that_counts_a_swap_as_one()
    {
        Suggestion.Distance("patch", "pacth").ShouldBe(1);
        Suggestion.Distance("", "abc").ShouldBe(3);
        Prop.ForAll(ArbMap.Default.ArbFor<NonNull<string>>(), ArbMap.Default.ArbFor<NonNull<string>>(), (one, other) =>
            Suggestion.Distance(one.Get, other.Get) == Suggestion.Distance(other.Get, one.Get)
            && (Suggestion.Distance(one.Get, other.Get) == 0) == (one.Get == other.Get)
            && Suggestion.Distance(one.Get, other.Get) <= Math.Max(one.Get.Length, other.Get.Length)).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_table_refuses_a_magic_that_no_host_could_offer()
    {
        Should.Throw<ArgumentException>(() => Table.Add(Table.First())).Message.ShouldContain("already");
        Should.Throw<ArgumentException>(() => new MagicTable { new Magic("No", "", _ => Task.CompletedTask) });
        Should.Throw<ArgumentException>(() => new MagicTable { new Magic("x", "", _ => Task.CompletedTask) { Parameters = [new("a", ""), new("a", "")] } });
        Should.Throw<ArgumentException>(() => new MagicTable { new Magic("x", "", _ => Task.CompletedTask) { Parameters = [new("a", "") { Positional = true }, new("b", "") { Positional = true }] } });
    }
}
