using FsCheck;
using FsCheck.Fluent;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration.Tests;

public sealed class InterleavingTableTests
{
    public static TheoryData<string> Names => [.. HandMade.All.Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_table_looks_as_it_was_accepted(string name)
        => GoldenFile.ShouldHold($"{name}.table.txt", new InterleavingTable(HandMade.All.First(each => each.Name == name).Example).ToString());

    [Fact]
    public void Any_table_is_narrow_enough_keeps_the_order_and_ends_with_the_violation() => Prop.ForAll<int, NonEmptyArray<int>>((seed, sizes) =>
    {
        var example = Random(seed, [.. sizes.Get.Select(size => Math.Abs(size % 200))]);
        var lines = new InterleavingTable(example).ToString().Split('\n');
        lines.ShouldAllBe(line => line.Length <= InterleavingTable.WidthMax);
        var numbers = lines.Skip(2).Select(line => line.TrimStart().Split(' ')[0]).Where(word => word.Length > 0 && word.All(char.IsAsciiDigit) && word.Length < 4).ToList();
        foreach (var entry in example.Entries) numbers.ShouldContain(entry.Ordinal.ToString(System.Globalization.CultureInfo.InvariantCulture));
        string.Join(' ', lines.Where(line => line.Length > 0).TakeLast(4)).ShouldContain("Detail");
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_violation_that_the_trace_holds_is_not_shown_twice()
    {
        foreach (var (_, example) in HandMade.All)
            new InterleavingTable(example).ToString().Split("VIOLATED").Length.ShouldBe(2);
    }

    [Fact]
    public void A_routine_is_named_where_a_cpu_begins_it_or_comes_back_to_it()
        => new InterleavingTable(HandMade.UnhandledTrap).Rows.Where(row => row.Entry.Cpu.Index == 1 && row.RoutineBegins is not null).Select(row => row.RoutineBegins)
            .ShouldBe([InterleavingTable.GuestCode, "poke_int3_handler", "do_sync_core", "poke_int3_handler"]);

    [Fact]
    public void What_is_neither_stale_nor_torn_is_not_said_to_be()
    {
        var fresh = HandMade.TornCall with { Entries = [.. HandMade.TornCall.Entries.Select(entry => entry with { IsStale = false, IsTorn = false, Fetched = [.. entry.Fetched.Take(3)] })] };
        new InterleavingTable(HandMade.TornCall).Rows[4].Text.ShouldEndWith(" <- torn");
        new InterleavingTable(fresh).Rows.ShouldAllBe(row => !row.Text.Contains("<-", StringComparison.Ordinal));
        new InterleavingTable(HandMade.ManyCpus).Rows[3].Text.ShouldEndWith(" <- stale");
    }

    [Fact]
    public void A_fetch_that_no_version_of_the_site_can_have_given_is_torn_though_the_trace_does_not_say_so()
    {
        var unsaid = HandMade.TornCall with { Entries = [.. HandMade.TornCall.Entries.Select(entry => entry with { IsTorn = false })] };
        new InterleavingTable(unsaid).Rows.Select(row => row.Entry.IsTorn).ShouldBe([false, false, false, false, true, false]);
        new InterleavingTable(HandMade.ManyCpus).Rows.ShouldAllBe(row => !row.Entry.IsTorn);
    }

    private static Counterexample Random(int seed, int[] sizes)
    {
        var choices = new SeededChoices(new((ulong)(uint)seed));
        var cpus = 1 + choices.Choose(ChoicePoint.Workload, 9);
        var words = new[] { "text_poke", "ffffffff81000005:", "a_name_that_is_by_far_too_long_for_any_column_of_a_table_of_this_width", "x" };
        return HandMade.TornCall with
        {
            Cpus = cpus,
            Violation = HandMade.TornCall.Violation with { Cpu = new(choices.Choose(ChoicePoint.Workload, cpus + 1) % cpus), Detail = "Detail" },
            Entries =
            [
                .. sizes.Index().Select(each => new TraceEntry(
                    each.Index, new(choices.Choose(ChoicePoint.Workload, cpus + 1) % cpus), each.Index, 1, TraceKind.Step, choices.Choose(ChoicePoint.Workload, 2) == 0 ? null : words[2][..(1 + (each.Item % 60))],
                    string.Join(' ', Enumerable.Range(0, each.Item / 20).Select(_ => words[choices.Choose(ChoicePoint.Workload, 4)])))),
            ],
            SiteHistory = [.. sizes.Index().Select(each => new SiteVersion(each.Index - 1, new((ulong)(each.Item % 3)), new byte[1 + (each.Item % 15)]))],
        };
    }
}
