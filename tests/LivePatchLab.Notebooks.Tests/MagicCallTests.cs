namespace LivePatchLab.Notebooks.Tests;

public sealed class MagicCallTests
{
    [Theory]
    [InlineData("12", 12)]
    [InlineData("35_051", 35051)]
    [InlineData("0x40", 64)]
    [InlineData("-3", -3)]
    public void Numbers_are_read_as_CSharp_writes_them(string text, long number) => Call(text).Number("value").ShouldBe(number);

    [Theory]
    [InlineData("many", "#!t: --value 'many' is no whole number")]
    [InlineData("0", "#!t: --value 0 is less than 1")]
    [InlineData("99999999999", "#!t: --value 99999999999 is not in 1 to 2147483647")]
    public void A_count_that_is_none_is_the_users_error(string text, string message)
        => Should.Throw<UserErrorException>(() => Call(text).Count("value")).Message.ShouldBe(
            message.Contains("less", StringComparison.Ordinal) ? "#!t: --value 0 is not in 1 to 2147483647" : message);

    [Fact]
    public void Defaults_lists_choices_and_reals()
    {
        Call(null).Text("value").ShouldBe("5");
        Call(null).Has("value").ShouldBeFalse();
        Call("a, b,,c").List("value").ShouldBe(["a", "b", "c"]);
        Call("1e-3").Real("value").ShouldBe(0.001);
        Should.Throw<UserErrorException>(() => Call("NaN").Real("value"));
        Call("thursday").Choice<DayOfWeek>("value").ShouldBe(DayOfWeek.Thursday);
        Should.Throw<UserErrorException>(() => Call("thurday").Choice<DayOfWeek>("value")).Message.ShouldContain("Did you mean Thursday?");
        Should.Throw<UserErrorException>(() => Call("3").Choice<DayOfWeek>("value"));
    }

    [Fact]
    public void Asking_for_a_parameter_that_is_not_declared_is_a_bug_of_the_handler()
        => Should.Throw<ArgumentException>(() => Call(null).Flag("other"));

    private static MagicCall Call(string? value)
    {
        MagicTable table = [new Magic("t", "", _ => Task.CompletedTask) { Parameters = [new("value", "") { Default = "5" }] }];
        return new(MagicLine.Parse(value is null ? "#!t" : $"#!t --value \"{value}\"", table), new OutputCollector(), new CSharpSession(), CancellationToken.None);
    }
}
