using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>#!lab: what there is.</summary>
internal static class LabMagic
{
    private static readonly string[] Topics = ["magics", "protocols", "costs", "models", "workloads"];

    /// <param name="table">The table that it explains, itself included once it is added.</param>
    public static Magic Create(MagicTable table) => new("lab", "Help: lists the magics, protocols, cost models or fetch models, or explains one magic.", call => Run(call, table))
    {
        Parameters =
        [
            new("about", "magics, protocols, costs, models, workloads, or the name of a magic, a protocol, a cost model or a fetch model")
            {
                Positional = true,
                Default = "magics",
                Kind = "topic",
                ListedBy = "#!lab",
                Values = () => Names(table),
            },
        ],
        Examples = ["#!lab", "#!lab protocols", "#!lab patch"],
    };

    private static IEnumerable<string> Names(MagicTable table) =>
    [
        .. Topics, .. table.Select(magic => magic.Name), .. Protocols.All.Select(protocol => protocol.Name), .. CostPreset.All.Select(preset => preset.Name),
        .. FetchModel.Presets.Select(model => model.Name),
    ];

    private static Task Run(MagicCall call, MagicTable table)
    {
        var about = call.Text("about");
        call.Display(about switch
        {
            "magics" => Magics(table),
            "protocols" => ProtocolList(Protocols.All),
            "costs" => CostModels(),
            "models" => FetchModelView.Of(FetchModel.Presets),
            "workloads" => WorkloadList(),
            _ => table.Find(about) is { } magic ? Explain(magic) : Named(about),
        });
        return Task.CompletedTask;
    }

    private static object Named(string about)
        => Protocols.All.FirstOrDefault(protocol => protocol.Name == about) is { } protocol ? ProtocolList([protocol])
            : CostPreset.All.FirstOrDefault(preset => preset.Name == about) is { } preset ? preset
            : FetchModel.Presets.First(model => model.Name == about);

    private static DataTable Magics(MagicTable table) => new(
        ["magic", "what it does", "for example"],
        [.. table.Select(magic => (string[])[magic.Directive, magic.Help, magic.Examples.Count > 0 ? magic.Examples[0] : magic.Directive])])
    {
        Remainder = "#!lab and the name of one explains it; #!lab protocols, costs, models and workloads list those.",
    };

    private static HtmlFragment Explain(Magic magic)
    {
        var view = new ViewBuilder().Headline(magic.Directive, "  " + magic.Help);
        if (magic.Parameters.Count > 0)
        {
            view.Table(new(["parameter", "what", "left out", "values"], [.. magic.Parameters.Select(parameter => (string[])
            [
                parameter.Positional ? $"[--{parameter.Name}]" : "--" + parameter.Name,
                parameter.Help,
                parameter.Required ? "must be given" : parameter.Default ?? (parameter.Flag ? "no" : ""),
                parameter.Values is null ? "" : string.Join(", ", parameter.Values()) + (parameter.OtherValues ? ", …" : ""),
            ])]));
        }
        const string Pre = "<pre style=\"margin:0.4em 0\">";
        return view.Part($"{Pre}{HtmlText.Escape(string.Join('\n', magic.Examples))}</pre>", string.Join('\n', magic.Examples)).Build();
    }

    private static DataTable ProtocolList(IReadOnlyList<IPatchProtocol> protocols) => new(
        ["protocol", "what it does", "where it comes from"],
        [
            .. protocols.Select(protocol =>
            {
                var origin = (KernelNameAttribute?)Attribute.GetCustomAttribute(protocol.GetType(), typeof(KernelNameAttribute));
                return (string[])[protocol.Name, protocol.Summary, origin is null ? "" : $"{origin.Name}() in {origin.File}, {origin.Version}"];
            }),
        ]);

    private static DataTable CostModels() => new(
        ["cost model", "which computer, and how far its figures can be trusted"],
        [.. CostPreset.All.Select(preset => (string[])[preset.Name, preset.Costs.Description])])
    {
        Remainder = "#!lab and the name of one shows every figure with its source.",
    };

    private static DataTable WorkloadList() => new(["workload", "what the CPUs do while one of them patches"],
    [
        ["idle", "They halt: every IPI wakes them. A synchronisation then costs what waking costs."],
        ["running", "They call one traced function after the other, straight through the sites: they meet int3, and IPIs interrupt them."],
        ["loaded", "They work, with interrupts off now and then: a synchronisation waits for the slowest. Only with a cost model that knows a load (loaded-24)."],
    ]);
}
