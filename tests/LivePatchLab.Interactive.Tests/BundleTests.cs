using System.Reflection;
using System.Runtime.Loader;
using System.Text.Json;

namespace LivePatchLab.Interactive.Tests;

/// <summary>The bundle in a load context of its own, met with nothing but types of .NET.</summary>
public sealed class BundleTests
{
    private const string AttributeName = "TypeFormatterSourceAttribute";

    private static readonly Lazy<BundleContext> Context = new(() => new());

    private static Assembly Interactive => Context.Value.Lab("LivePatchLab.Interactive");

    [Fact]
    public async Task A_magic_runs_from_the_bundle_with_types_of_dotnet_only()
    {
        var shown = new List<object>();
        var variables = new Dictionary<string, object?>();
        (await RunAsync("#!machine", """{"cpus":"2","sites":"3"}""", null, shown, variables)).ShouldBeNull();
        shown.ShouldHaveSingleItem().ToString()!.ShouldContain("2 CPUs");
        var machine = variables["machine"].ShouldNotBeNull();
        AssemblyLoadContext.GetLoadContext(machine.GetType().Assembly).ShouldBe(Context.Value);
        (await RunAsync("#!patch", """{"engine":"text_poke_bp","back":false}""", "#!patch text_poke_bp", shown, variables)).ShouldBeNull();
        shown[1].ToString()!.ShouldStartWith("text_poke_bp on 3 sites, 2 CPUs: 9 syncs");
    }

    [Theory]
    [InlineData("#!patch", """{"engine":"text_poke"}""", null, "no protocol named 'text_poke'.")]
    [InlineData("#!patch", "{}", null, "there is no machine in a variable 'machine'")]
    [InlineData("#!plot", """{"title":"say \"hi\""}""", null, "#!plot: --title cannot hold a double quote")]
    [InlineData("#!lab", "{}", "#!lab protocols costs", "#!lab does not know what to do with 'costs'.")]
    [InlineData("#!plot", """{"log":true}""", "1+1\n#!plot --log false", "#!plot does not know what to do with 'false'. --log takes no value.")]
    [InlineData("#!heap", "{}", null, "the lab has no magic #!heap")]
    public async Task What_the_host_lets_pass_is_refused_in_one_line(string name, string arguments, string? cellText, string problem)
        => (await RunAsync(name, arguments, cellText, [], [])).ShouldNotBeNull().ShouldStartWith(problem);

    [Fact]
    public async Task A_list_in_the_hosts_notation_is_a_list()
    {
        var variables = new Dictionary<string, object?>();
        (await RunAsync("#!sweep", """{"engines":["text_poke_bp","ftrace_2012"],"sites":"1","cpus":2}""", "#!sweep --engines [\"text_poke_bp\"] @x", [], variables)).ShouldBeNull();
        variables.Keys.ShouldBe(["sweep"]);
    }

    [Fact]
    public void Progress_is_replaced_in_place_and_not_too_often_and_the_result_takes_its_place()
    {
        var shown = new List<List<string>>();
        var time = new SteppedTime();
        var cell = Cell(shown);
        var output = Activator.CreateInstance(Interactive.GetType("LivePatchLab.Interactive.HostOutput")!, cell, time)!;
        var progress = Context.Value.Lab("LivePatchLab.Notebooks").GetType("LivePatchLab.Notebooks.Progress")!;
        var report = output.GetType().GetMethod("Report")!;
        void Report(int done) => report.Invoke(output, [Activator.CreateInstance(progress, (long)done, 10L, "runs")]);
        Report(0);
        shown.ShouldBeEmpty("what is done at once shows no progress");
        time.Now += TimeSpan.TicksPerSecond;
        Report(1);
        Report(2);
        time.Now += TimeSpan.TicksPerSecond;
        Report(3);
        shown.ShouldHaveSingleItem().ShouldBe(["runs: 1 of 10, 10 %", "runs: 3 of 10, 30 %"]);

        var bundle = Context.Value.Lab("LivePatchLab.Notebooks").GetType("LivePatchLab.Notebooks.MimeBundle")!;
        var display = output.GetType().GetMethod("Display")!;
        display.Invoke(output, [Activator.CreateInstance(bundle, "text/plain", "the result")]);
        display.Invoke(output, [Activator.CreateInstance(bundle, "text/plain", "another")]);
        shown.Select(each => each[^1]).ShouldBe(["the result", "another"]);
    }

    [Fact]
    public void Every_view_has_a_formatter_of_the_hosts_shape_for_each_type_that_it_prefers()
    {
        var types = Context.Value.LabAssemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => AttributeOf(type) is not null).ToArray();
        types.Length.ShouldBeGreaterThan(3);
        types.SelectMany(OddFormatters).ShouldBeEmpty();
    }

    [Fact]
    public void A_view_that_the_host_would_stumble_over_is_found()
        => OddFormatters(typeof(OddView)).ShouldBe(["OddView: nothing formats image/png", "OddView: OddFormatter has no 'bool Format(object, TextWriter)'"], ignoreOrder: true);

    [Fact]
    public void No_type_of_the_private_compiler_is_in_what_cells_can_call()
        => Context.Value.LabAssemblies.SelectMany(assembly => assembly.GetExportedTypes()).SelectMany(CompilerTypes).ShouldBeEmpty();

    [Fact]
    public void A_type_of_the_compiler_is_found() => CompilerTypes(typeof(Microsoft.CodeAnalysis.Scripting.ScriptState)).ShouldNotBeEmpty();

    private static async Task<string?> RunAsync(string name, string arguments, string? cellText, List<object> shown, Dictionary<string, object?> variables)
    {
        Func<object, Action<object>> display = value =>
        {
            shown.Add(value);
            return _ => { };
        };
        var cell = Activator.CreateInstance(Interactive.GetType("LivePatchLab.Interactive.HostCell")!, new object(), display, CancellationToken.None);
        Func<string, (bool, object?)> get = variable => (variables.TryGetValue(variable, out var value), value);
        Func<string, object?, Type, Task> set = (variable, value, _) =>
        {
            variables[variable] = value;
            return Task.CompletedTask;
        };
        var call = Activator.CreateInstance(
            Interactive.GetType("LivePatchLab.Interactive.LabDirectiveCall")!, name, JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(arguments), cellText, cell, get, set);
        return await (Task<string?>)Interactive.GetType("LivePatchLab.Interactive.LabExtension")!.GetMethod("RunAsync")!.Invoke(null, [call])!;
    }

    private static object Cell(List<List<string>> shown)
    {
        Func<object, Action<object>> display = first =>
        {
            var values = new List<string> { first.ToString()! };
            shown.Add(values);
            return next => values.Add(next.ToString()!);
        };
        return Activator.CreateInstance(Interactive.GetType("LivePatchLab.Interactive.HostCell")!, new object(), display, CancellationToken.None)!;
    }

    private static object? AttributeOf(Type type) => type.GetCustomAttributes(inherit: false).FirstOrDefault(each => each.GetType().Name == AttributeName);

    private static IEnumerable<string> OddFormatters(Type type)
    {
        var attribute = AttributeOf(type)!;
        var source = (Type)attribute.GetType().GetProperty("FormatterSourceType")!.GetValue(attribute)!;
        var preferred = (string[])attribute.GetType().GetProperty("PreferredMimeTypes")!.GetValue(attribute)!;
        var created = (System.Collections.IEnumerable)source.GetMethod("CreateTypeFormatters", BindingFlags.Public | BindingFlags.Instance)!.Invoke(Activator.CreateInstance(source), null)!;
        var formatters = created.Cast<object>().ToArray();
        foreach (var mimeType in preferred.Where(wanted => !formatters.Any(each => (string?)each.GetType().GetProperty("MimeType")?.GetValue(each) == wanted)))
            yield return $"{type.Name}: nothing formats {mimeType}";
        foreach (var formatter in formatters.Select(each => each.GetType()))
        {
            var format = formatter.GetMethods(BindingFlags.Public | BindingFlags.Instance).Where(method => method.Name == "Format").ToArray();
            if (format.Length != 1 || format[0].ReturnType != typeof(bool) || !format[0].GetParameters().Select(parameter => parameter.ParameterType).SequenceEqual([typeof(object), typeof(TextWriter)]))
                yield return $"{type.Name}: {formatter.Name} has no 'bool Format(object, TextWriter)'";
        }
    }

    private static IEnumerable<string> CompilerTypes(Type type)
        => from member in type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
           from used in member switch
           {
               MethodBase method => method.GetParameters().Select(parameter => parameter.ParameterType).Append((method as MethodInfo)?.ReturnType ?? typeof(void)),
               PropertyInfo property => [property.PropertyType],
               FieldInfo field => [field.FieldType],
               _ => [],
           }
           where used.ToString().Contains("Microsoft.CodeAnalysis.", StringComparison.Ordinal)
           select $"{type.Name}.{member.Name}: {used}";

    private sealed class BundleContext() : AssemblyLoadContext("bundle")
    {
        public IEnumerable<Assembly> LabAssemblies => Directory.GetFiles(PackedExtension.Bundle, "LivePatchLab.*.dll").Select(LoadFromAssemblyPath);

        public Assembly Lab(string name) => LoadFromAssemblyName(new(name));

        // Everything of the bundle from the bundle; the runtime's own from the runtime.
        protected override Assembly? Load(AssemblyName assemblyName)
            => Path.Combine(PackedExtension.Bundle, assemblyName.Name + ".dll") is var path && File.Exists(path) ? LoadFromAssemblyPath(path) : null;
    }

    private sealed class SteppedTime : TimeProvider
    {
        public long Now { get; set; } = TimeSpan.TicksPerDay;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;
    }

    [AttributeUsage(AttributeTargets.Class)]
    private sealed class TypeFormatterSourceAttribute : Attribute
    {
        public Type FormatterSourceType { get; } = typeof(OddSource);

        public string[] PreferredMimeTypes { get; } = ["text/html", "image/png"];
    }

    [TypeFormatterSource]
    private sealed class OddView;

    private sealed class OddSource
    {
        public IEnumerable<object> CreateTypeFormatters() => [new OddFormatter()];
    }

    private sealed class OddFormatter
    {
        public string MimeType => "text/html";

        public bool Format(OddView instance, TextWriter writer) => instance is not null && writer is not null;
    }
}
