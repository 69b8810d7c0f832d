using System.Text;
using System.Text.Json;
using LivePatchLab.Linux;

namespace LivePatchLab.Exploration.Tests;

public sealed class TraceExportTests
{
    public static TheoryData<string> Names => [.. HandMade.All.Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Perfetto_gets_a_track_a_cpu_and_a_site_and_every_slice_that_begins_ends(string name)
    {
        var example = HandMade.All.First(each => each.Name == name).Example;
        var packets = Perfetto(example);
        packets.ShouldAllBe(packet => packet.Number(10) == 1, "trusted_packet_sequence_id");

        var descriptors = packets.Select(packet => packet.Messages(60)).Where(all => all.Count == 1).Select(all => all[0]).ToArray();
        descriptors[0].Messages(3).Single().Text(6).ShouldBe(example.Scenario);
        var tracks = descriptors.Skip(1).ToArray();
        tracks.Select(track => track.Text(2)).ShouldBe(
        [
            .. Enumerable.Range(0, example.Cpus).Select(cpu => $"CPU{cpu}"),
            .. example.SiteHistory.Select(version => version.Site).Distinct().Order().Select(site => $"site {site}"),
        ]);
        tracks.ShouldAllBe(track => track.Number(5) == descriptors[0].Number(1));
        tracks.Select(track => track.Number(1)).Distinct().Count().ShouldBe(tracks.Length);

        var open = tracks.ToDictionary(track => track.Number(1), _ => 0);
        var last = 0ul;
        foreach (var packet in packets.Where(packet => packet.Messages(11).Count == 1))
        {
            packet.Number(8).ShouldBeGreaterThanOrEqualTo(last, "packets are in the order of their time");
            last = packet.Number(8);
            var track = packet.Messages(11)[0].Number(11);
            open[track] += packet.Messages(11)[0].Number(9) switch { 1 => 1, 2 => -1, 3 => 0, var type => throw new InvalidOperationException($"type {type}") };
            open[track].ShouldBeGreaterThanOrEqualTo(0, "nothing ends that has not begun");
        }

        open.Values.ShouldAllBe(count => count == 0);
    }

    [Fact]
    public void Perfetto_gets_every_entry_at_its_place_with_what_was_fetched()
    {
        var packets = Perfetto(HandMade.TornCall);
        var events = packets.Where(packet => packet.Messages(11).Count == 1).Select(packet => (Time: packet.Number(8), Event: packet.Messages(11)[0])).ToArray();
        var cpu1 = packets.SelectMany(packet => packet.Messages(60)).Single(track => track.Text(2) == "CPU1").Number(1);
        events.Where(each => each.Event.Number(11) == cpu1 && each.Event.Number(9) != 2).Select(each => (each.Time, Name: each.Event.Text(23)!, Category: each.Event.Text(22)!)).ShouldBe(
        [
            (2000, "guest code", "routine"),
            (2000, "nopl (%rax)", "Instruction"),
            (5000, "call ffffffffc533201a [e8 10 20 33 44] <- torn", "Instruction"),
            (6000, "I2 VIOLATED: " + HandMade.TornCall.Violation.Detail, "Violation"),
        ]);
        var torn = events.Single(each => each.Event.Text(23)?.EndsWith("torn", StringComparison.Ordinal) == true).Event;
        torn.Messages(4).Select(annotation => $"{annotation.Text(10)}={annotation.Text(6)}").ShouldBe(["clock=1 cycles", "takes=1 cycles", "rip=ffffffff81000005", "fetched=e8 10 20 33 44", "fetch=torn"]);

        var site = packets.SelectMany(packet => packet.Messages(60)).Single(track => track.Text(2) == "site ffffffff81000005").Number(1);
        events.Where(each => each.Event.Number(11) == site && each.Event.Number(9) == 1).Select(each => (each.Time, Name: each.Event.Text(23)!))
            .ShouldBe([(0, "e8 10 20 30 40"), (3000, "cc 10 20 30 40"), (4000, "cc 11 22 33 44")]);
    }

    [Fact]
    public void Chrome_gets_an_array_with_the_scenario_as_its_process_and_a_thread_a_cpu()
    {
        using var stream = new MemoryStream();
        ChromeTrace.Write(HandMade.UnhandledTrap with { Scenario = "\"quoted\" <&>\n" }, stream);
        using var json = JsonDocument.Parse(stream.ToArray());
        var events = json.RootElement.EnumerateArray().ToArray();
        Named("process_name").Single().GetProperty("args").GetProperty("name").GetString().ShouldBe("\"quoted\" <&>\n");
        Named("thread_name").Select(each => each.GetProperty("args").GetProperty("name").GetString()).ShouldBe(["CPU0", "CPU1", "site ffffffff81000005"]);
        var trap = events.Single(each => each.GetProperty("name").GetString() == "#BP, interrupts stay on");
        (trap.GetProperty("ph").GetString(), trap.GetProperty("tid").GetInt32(), trap.GetProperty("ts").GetInt32(), trap.GetProperty("dur").GetInt32()).ShouldBe(("X", 1, 3, 1));
        var violation = events.Single(each => each.GetProperty("ph").GetString() == "i");
        violation.GetProperty("name").GetString()!.ShouldStartWith("I1 VIOLATED");
        violation.GetProperty("ts").GetInt32().ShouldBe(10);
        events.Where(each => each.GetProperty("ph").GetString() == "X").Select(each => each.GetProperty("ts").GetInt32()).ShouldBeInOrder();

        IEnumerable<JsonElement> Named(string name) => events.Where(each => each.GetProperty("ph").GetString() == "M" && each.GetProperty("name").GetString() == name);
    }

    [Fact]
    public void A_trace_is_saved_or_one_line_says_why_not()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("livepatch").FullName, "torn" + PerfettoTrace.FileExtension);
        try
        {
            HandMade.TornCall.SavePerfetto(path).ShouldBe(path);
            using var stream = new MemoryStream();
            PerfettoTrace.Write(HandMade.TornCall, stream);
            File.ReadAllBytes(path).ShouldBe(stream.ToArray());
            Should.Throw<BadInputException>(() => HandMade.TornCall.SaveChromeTrace(Path.Combine(path, "below"))).Message.ShouldStartWith($"{Path.Combine(path, "below")}: the trace cannot be written: ");
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }

    private static IReadOnlyList<ProtobufMessage> Perfetto(Counterexample example)
    {
        using var stream = new MemoryStream();
        PerfettoTrace.Write(example, stream);
        var trace = ProtobufMessage.Read(stream.ToArray());
        trace.Fields.ShouldBe([1]);
        return trace.Messages(1);
    }
}

/// <summary>Reads Protocol Buffers from their description of the encoding, sharing nothing with what writes them.</summary>
internal sealed class ProtobufMessage
{
    private readonly List<(int Field, ulong Number, byte[]? Bytes)> _fields = [];

    public IEnumerable<int> Fields => _fields.Select(each => each.Field).Distinct();

    public static ProtobufMessage Read(byte[] bytes)
    {
        var message = new ProtobufMessage();
        for (var at = 0; at < bytes.Length;)
        {
            var tag = Varint(bytes, ref at);
            var value = Varint(bytes, ref at);
            byte[]? content = null;
            switch (tag & 7)
            {
                case 0: break;
                case 2:
                    content = bytes[at..(at + (int)value)];
                    at += (int)value;
                    break;
                default: throw new FormatException($"wire type {tag & 7} at {at}");
            }

            message._fields.Add(((int)(tag >> 3), value, content));
        }

        return message;
    }

    public ulong Number(int field) => _fields.Where(each => each.Field == field && each.Bytes is null).Select(each => each.Number).FirstOrDefault();

    public string? Text(int field) => _fields.FirstOrDefault(each => each.Field == field && each.Bytes is not null).Bytes is { } bytes ? Encoding.UTF8.GetString(bytes) : null;

    public IReadOnlyList<ProtobufMessage> Messages(int field) => [.. _fields.Where(each => each.Field == field).Select(each => Read(each.Bytes ?? throw new FormatException($"field {field} is a number")))];

    private static ulong Varint(byte[] bytes, ref int at)
    {
        var value = 0ul;
        for (var shift = 0; ; shift += 7)
        {
            var part = bytes[at++];
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80) return value;
        }
    }
}
