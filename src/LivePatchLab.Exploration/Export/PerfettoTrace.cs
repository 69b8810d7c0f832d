namespace LivePatchLab.Exploration;

/// <summary>
/// A counterexample for Perfetto (ui.perfetto.dev): TrackEvent packets, as google/perfetto defines them in protos/perfetto/trace. One track a CPU, one a site.
/// A microsecond stands for one place in the order of the run; the CPU's clock is among the details of each slice.
/// </summary>
public static class PerfettoTrace
{
    public const string FileExtension = ".perfetto-trace";

    // Field numbers, by file. trace.proto: Trace; trace_packet.proto: TracePacket.
    private const int TracePacket = 1;
    private const int PacketTimestamp = 8;
    private const int PacketSequenceId = 10;
    private const int PacketTrackEvent = 11;
    private const int PacketTrackDescriptor = 60;

    // track_event/track_descriptor.proto, and process_descriptor.proto for the last two.
    private const int DescriptorUuid = 1;
    private const int DescriptorName = 2;
    private const int DescriptorProcess = 3;
    private const int DescriptorParentUuid = 5;
    private const int DescriptorChildOrdering = 11;
    private const int DescriptorSiblingRank = 12;
    private const int OrderingExplicit = 3;
    private const int ProcessPid = 1;
    private const int ProcessName = 6;

    // track_event/track_event.proto.
    private const int EventAnnotations = 4;
    private const int EventType = 9;
    private const int EventTrackUuid = 11;
    private const int EventCategories = 22;
    private const int EventName = 23;
    private const int TypeSliceBegin = 1;
    private const int TypeSliceEnd = 2;
    private const int TypeInstant = 3;

    // track_event/debug_annotation.proto.
    private const int AnnotationName = 10;
    private const int AnnotationText = 6;

    /// <summary>All packets are of one writer; zero would be none.</summary>
    private const int SequenceId = 1;
    private const int ScenarioUuid = 1;
    private const int FirstTrackUuid = 2;

    /// <summary>Writes the whole trace; the stream stays open.</summary>
    public static void Write(Counterexample example, Stream stream)
    {
        var trace = new ProtobufWriter();
        Describe(trace, new ProtobufWriter().Number(DescriptorUuid, ScenarioUuid)
            .Message(DescriptorProcess, new ProtobufWriter().Number(ProcessPid, 1).Text(ProcessName, example.Scenario))
            .Number(DescriptorChildOrdering, OrderingExplicit));
        var tracks = TraceTracks.Of(example);
        foreach (var (rank, track) in tracks.Index())
        {
            Describe(trace, new ProtobufWriter().Number(DescriptorUuid, UuidOf(rank)).Text(DescriptorName, track.Name)
                .Number(DescriptorParentUuid, ScenarioUuid).Number(DescriptorSiblingRank, (ulong)rank));
        }

        foreach (var (place, _, _, packet) in tracks.Index().SelectMany(track => Events(track.Item, UuidOf(track.Index))).OrderBy(each => each.Place).ThenBy(each => each.Order).ThenBy(each => each.Depth))
        {
            trace.Message(TracePacket, new ProtobufWriter().Number(PacketTimestamp, (ulong)place * TraceTracks.PlaceNanoseconds)
                .Number(PacketSequenceId, SequenceId).Message(PacketTrackEvent, packet));
        }

        stream.Write(trace.ToArray());
    }

    private static ulong UuidOf(int rank) => (ulong)(FirstTrackUuid + rank);

    private static void Describe(ProtobufWriter trace, ProtobufWriter descriptor)
        => trace.Message(TracePacket, new ProtobufWriter().Number(PacketSequenceId, SequenceId).Message(PacketTrackDescriptor, descriptor));

    /// <summary>Beginnings and ends. At one place the ends come first, the innermost of them first, so that nothing ends that has not begun.</summary>
    private static IEnumerable<(int Place, int Order, int Depth, ProtobufWriter Event)> Events(TraceTrack track, ulong uuid)
    {
        foreach (var (depth, slice) in track.Slices.Index())
        {
            var isInstant = slice.Start == slice.End;
            var begin = new ProtobufWriter().Number(EventType, (ulong)(isInstant ? TypeInstant : TypeSliceBegin)).Number(EventTrackUuid, uuid)
                .Text(EventCategories, slice.Category).Text(EventName, slice.Name);
            foreach (var (name, text) in slice.Details)
                begin.Message(EventAnnotations, new ProtobufWriter().Text(AnnotationName, name).Text(AnnotationText, text));
            yield return (slice.Start, 1, depth, begin);
            if (!isInstant) yield return (slice.End, 0, -depth, new ProtobufWriter().Number(EventType, TypeSliceEnd).Number(EventTrackUuid, uuid));
        }
    }
}
