namespace LivePatchLab.Notebooks.Tests;

public sealed class ProgressTests
{
    private readonly SetTime _time = new();

    [Fact]
    public void After_a_second_rate_and_estimate_are_told()
    {
        var clock = new ProgressClock(_time);
        clock.At(new(1, 400, "runs")).ToString().ShouldBe("runs: 1 of 400, 0 %");
        _time.Seconds = 0.9;
        clock.At(new(14, 400, "runs")).ToString().ShouldBe("runs: 14 of 400, 3 %");
        _time.Seconds = 8.4;
        var at = clock.At(new(120, 400, "runs"));
        at.ToString().ShouldBe("runs: 120 of 400, 30 %, 14 a second, 20 s left");
        at.Elapsed.ShouldBe(TimeSpan.FromSeconds(8.4));
    }

    [Fact]
    public void What_was_lately_counts_for_more_than_what_was_long_ago()
    {
        var clock = new ProgressClock(_time);
        clock.At(new(0, 100_000, "runs"));
        double? rate = null;
        for (var second = 1; second <= 120; second++)
        {
            _time.Seconds = second;
            rate = clock.At(new(second <= 60 ? second * 10 : 600 + ((second - 60) * 100), 100_000, "runs")).RatePerSecond;
        }
        rate.ShouldNotBeNull().ShouldBeInRange(99, 100);
    }

    [Fact]
    public void Another_work_begins_anew()
    {
        var clock = new ProgressClock(_time);
        clock.At(new(1, 10, "adding breakpoints"));
        _time.Seconds = 5;
        clock.At(new(10, 10, "adding breakpoints")).ToString().ShouldBe("adding breakpoints: 10 of 10, 100 %, 1.8 a second");
        clock.At(new(1, 10, "updating code")).ToString().ShouldBe("updating code: 1 of 10, 10 %");
    }

    [Theory]
    [InlineData(5, 0, 2.5, "sites: 5, 2.5 a second")]
    [InlineData(5, 10, 0.0, "sites: 5 of 10, 50 %")]
    [InlineData(399, 400, null, "sites: 399 of 400, 99 %")]
    [InlineData(1_000, 35_051, 100.0, "sites: 1,000 of 35,051, 2 %, 100 a second, 5 min 40 s left")]
    [InlineData(1, 100, 0.01, "sites: 1 of 100, 1 %, 36 an hour, 2 h 45 min left")]
    [InlineData(1, 100, 0.5, "sites: 1 of 100, 1 %, 30 a minute, 3 min 10 s left")]
    [InlineData(1, 100, 1e-300, "sites: 1 of 100, 1 %, 0 an hour")]
    public void It_says_what_it_knows(long done, long total, double? rate, string text)
        => new Progress(done, total, "sites") { RatePerSecond = rate }.ToString().ShouldBe(text);

    [Fact]
    public void A_page_gets_a_bar_and_without_a_total_one_that_claims_nothing()
    {
        new Progress(5, 10, "a<b").ToHtml().ShouldBe("<progress max=\"10\" value=\"5\"></progress> a&lt;b: 5 of 10, 50 %");
        new Progress(5, 0, "sites").ToHtml().ShouldBe("<progress></progress> sites: 5");
    }

    private sealed class SetTime : TimeProvider
    {
        public double Seconds { get; set; }

        public override long TimestampFrequency => 1_000_000;

        public override long GetTimestamp() => (long)(Seconds * TimestampFrequency);
    }
}
