using System.IO.Compression;
using System.Net;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LivePatchLab.Notebooks.Tests;

/// <summary>Libraries that cells ask for, from files and from packages that the tests make.</summary>
[Collection("Sessions")]
public sealed class PackageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestRun _run = new();

    // What is restored is kept by its text; a name of its own lets every test begin with nothing.
    private readonly string _id = "Lab.Test" + Guid.NewGuid().ToString("N")[..8];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_library_can_be_named_by_its_file_anywhere_in_a_cell()
    {
        Compile("Deep", "1.0.0.0", "public static class Deep { public static int Value => 40; }");
        Compile("Shallow", "1.0.0.0", "public static class Shallow { public static int Value => Deep.Value + 2; }", _folder.File("Deep.dll"));
        (await _run.Text($"var before = 1;\n#r \"{_folder.File("Shallow.dll")}\"\nShallow.Value + before")).ShouldBe("43");
        (await _run.Text("typeof(Shallow).Assembly.GetName().Name")).ShouldBe("Shallow");
        _run.Session.CSharp.Complete("Shallow.Val", 11).Items.ShouldHaveSingleItem().Text.ShouldBe("Value");
        (await _run.Text("#r \"System.Xml.Linq\"\nnew System.Xml.Linq.XElement(\"a\").ToString()")).ShouldBe("<a />");
    }

    [Fact]
    public async Task What_is_no_library_is_one_line()
    {
        (await _run.Error("\n#r \"nowhere.dll\"")).ShouldBe($"cell 1, line 2: there is no file 'nowhere.dll'; a relative path starts at {Environment.CurrentDirectory}");
        File.WriteAllText(_folder.File("text.dll"), "text");
        (await _run.Error($"#r \"{_folder.File("text.dll")}\"")).ShouldBe($"cell 2, line 1: {_folder.File("text.dll")} is no .NET assembly");
        (await _run.Error("#r nuget: Some")).ShouldBe("cell 3, line 1: write #r \"FILE.dll\", #r \"nuget: ID\" or #r \"nuget: ID, VERSION\"");
        (await _run.Error("#i \"nuget: nowhere\"")).ShouldBe("cell 4, line 1: there is no folder 'nowhere' to look for packages in");
        (await _run.Text("1 + 1")).ShouldBe("2");
    }

    [Fact]
    public async Task A_second_version_of_a_library_is_refused_in_one_line()
    {
        Compile("Twice", "1.0.0.0", "public static class Twice;");
        await _run.Text($"#r \"{_folder.File("Twice.dll")}\"");
        Directory.CreateDirectory(_folder.File("newer"));
        Compile(Path.Combine("newer", "Twice"), "2.0.0.0", "public static class Twice;");
        (await _run.Error($"#r \"{_folder.File("newer/Twice.dll")}\""))
            .ShouldBe("cell 2, line 1: version 1.0.0.0 of Twice is loaded already, and 2.0.0.0 cannot be loaded beside it; restart to use it");
        // Another session is another world.
        (await new TestRun().Text($"#r \"{_folder.File("newer/Twice.dll")}\"\ntypeof(Twice).Assembly.GetName().Version.Major")).ShouldBe("2");
    }

    [Fact]
    public async Task The_labs_own_assemblies_win_over_copies()
    {
        Compile("LivePatchLab.Machine", "0.0.0.1", "public static class Impostor;");
        (await _run.Error($"#r \"{_folder.File("LivePatchLab.Machine.dll")}\"\ntypeof(Impostor)")).ShouldContain("'Impostor'");
        Compile("LivePatchLab.Linux", "9.0.0.0", "public static class Impostor;");
        (await _run.Error($"#r \"{_folder.File("LivePatchLab.Linux.dll")}\"")).ShouldContain("is version 9.0.0.0 of LivePatchLab.Linux, and the lab itself uses ");
    }

    [Fact]
    public async Task A_package_is_restored_with_what_it_depends_on_and_found_again_without_a_restore()
    {
        Pack(_id + ".Base", "1.2.0", $"namespace {_id}.Base; public static class Base {{ public static int Value => 5; }}");
        Pack(_id, "2.0.0", $"namespace {_id}; public static class Top {{ public static int Value => {_id}.Base.Base.Value * 2; }}", _id + ".Base");
        var cell = $"#i \"nuget: {_folder.File("")}\"\n#r \"nuget: {_id}, 2.0.0\"\n{_id}.Top.Value";
        (await _run.Text(cell)).ShouldBe("10");
        _run.Progress.ShouldNotBeEmpty();
        _run.Progress[0].Text.ShouldBe($"restoring {_id} 2.0.0");
        var again = new TestRun();
        (await again.Text(cell)).ShouldBe("10");
        again.Progress.ShouldBeEmpty();
        (await _run.Error($"#r \"nuget: {_id}, 1.0.0\"")).ShouldBe($"cell 2, line 1: {_id} 1.0.0 cannot be loaded beside {_id} 2.0.0; use one version, and restart where the other is loaded");
        (await _run.Text($"#r \"nuget: {_id}, 2.0.0\"\n{_id}.Base.Base.Value")).ShouldBe("5");
    }

    [Fact]
    public async Task A_package_that_there_is_not_is_one_line_of_the_restore()
    {
        Pack(_id, "2.0.0", "public static class Top;");
        // Only the folder is asked, so that the test needs no network.
        File.WriteAllText(_folder.File("nuget.config"), $"<configuration><packageSources><clear /><add key=\"here\" value=\"{_folder.File("")}\" /></packageSources></configuration>");
        var before = Environment.CurrentDirectory;
        Environment.CurrentDirectory = _folder.File("");
        try
        {
            (await _run.Error($"#r \"nuget: {_id}.Absent\"")).ShouldStartWith($"cell 1, line 1: NU1101: Unable to find package {_id}.Absent.");
            (await _run.Error($"#r \"nuget: {_id}, 3.0.0\"")).ShouldStartWith($"cell 2, line 1: NU1102: Unable to find package {_id} with version (= 3.0.0)");
            (await _run.Text($"#r \"nuget:{_id}\"\ntypeof(Top).Name")).ShouldBe("Top");
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }
    }

    [Fact]
    public async Task A_restore_can_be_interrupted()
    {
        // A source that accepts and never answers.
        using var silent = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using var interrupt = new CancellationTokenSource();
        var cell = _run.Cell($"#i \"nuget: http://127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}/index.json\"\n#r \"nuget: {_id}\"", interrupt.Token);
        while (_run.Progress.Count == 0)
            await Task.Delay(1);
        await interrupt.CancelAsync();
        (await cell).Result.Failure.ShouldNotBeNull().Kind.ShouldBe(CellFailure.Interrupted);
        (await _run.Text("1 + 1")).ShouldBe("2");
    }

    private void Compile(string name, string version, string code, params string[] references)
    {
        var platform = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Where(path => Path.GetFileName(path).StartsWith("System.", StringComparison.Ordinal));
        var compilation = CSharpCompilation.Create(
            Path.GetFileName(name),
            [CSharpSyntaxTree.ParseText($"[assembly: System.Reflection.AssemblyVersion(\"{version}\")] {code}")],
            platform.Concat(references).Select(path => MetadataReference.CreateFromFile(path)),
            new(OutputKind.DynamicallyLinkedLibrary));
        compilation.Emit(_folder.File(name + ".dll")).Diagnostics.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error).ShouldBeEmpty();
    }

    private void Pack(string id, string version, string code, string? dependency = null)
    {
        Compile(id, version + ".0", code, dependency is null ? [] : [_folder.File(dependency + ".dll")]);
        using var package = ZipFile.Open(_folder.File($"{id}.{version}.nupkg"), ZipArchiveMode.Create);
        package.CreateEntryFromFile(_folder.File(id + ".dll"), $"lib/net8.0/{id}.dll");
        using var writer = new StreamWriter(package.CreateEntry(id + ".nuspec").Open());
        var needs = dependency is null ? "" : $"<dependency id=\"{dependency}\" version=\"1.0.0\" />";
        writer.Write($"""
            <package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata><id>{id}</id><version>{version}</version><authors>test</authors>
            <description>test</description><dependencies><group targetFramework="net8.0">{needs}</group></dependencies></metadata></package>
            """);
    }
}
