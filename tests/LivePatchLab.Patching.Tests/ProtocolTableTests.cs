using LivePatchLab.Linux.Tests;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>docs/protocols.md says of each protocol what its code says.</summary>
public sealed class ProtocolTableTests
{
    private static IReadOnlyList<string[]> Rows { get; } =
    [
        .. File.ReadAllLines(Path.Combine(LabFolder.Root, "docs", "protocols.md"))
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries)),
    ];

    [Fact]
    public void The_table_has_every_protocol_in_order()
        => Rows.Select(row => row[0].Split('`')[1]).ShouldBe(Protocols.Kernel.Select(protocol => protocol.Name));

    [Fact]
    public void The_table_says_what_each_promises()
    {
        foreach (var row in Rows)
            row[^1].ShouldBe(Protocols.Named(row[0].Split('`')[1]).PromisesUnder(FetchModel.SdmWorst).Show(), row[0]);
    }

    [Fact]
    public void The_table_says_who_skips()
    {
        foreach (var row in Rows)
            (row[5].StartsWith("skips", StringComparison.Ordinal) || row[5].StartsWith("goes", StringComparison.Ordinal)).ShouldBe(Protocols.Named(row[0].Split('`')[1]).MaySkip, row[0]);
    }
}
