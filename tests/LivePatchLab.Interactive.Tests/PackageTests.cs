using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LivePatchLab.Interactive.Tests;

/// <summary>What is in the package.</summary>
public sealed class PackageTests
{
    private static readonly string[] Lab = ["Experiments", "Interactive", "Linux", "Machine", "Notebooks", "Patching"];

    [Fact]
    public void The_package_holds_a_marker_a_bundle_and_two_scripts_and_nothing_else()
    {
        using var archive = ZipFile.OpenRead(PackedExtension.Archive);
        var files = archive.Entries.Select(entry => entry.FullName).Where(name => !name.StartsWith("_rels/", StringComparison.Ordinal) && !name.StartsWith("package/", StringComparison.Ordinal)).ToArray();
        files.Where(name => !name.StartsWith("bundle/net10.0/", StringComparison.Ordinal)).ShouldBe(
        [
            "LivePatchLab.Interactive.nuspec", "[Content_Types].xml", "README.md", "lib/net10.0/LivePatchLab.Interactive.Marker.dll", "bundle/register.csx",
            "interactive-extensions/dotnet/extension.dib",
        ], ignoreOrder: true);
        files.ShouldBeSubsetOf([.. files.Where(name => Path.GetExtension(name) is not (".pdb" or ".so"))]);
        var bundled = files.Where(name => name.StartsWith("bundle/net10.0/", StringComparison.Ordinal)).Select(name => name["bundle/net10.0/".Length..]).ToArray();
        Lab.Select(name => $"LivePatchLab.{name}.dll").ShouldBeSubsetOf(bundled);
        Lab.Select(name => $"LivePatchLab.{name}.xml").ShouldBeSubsetOf(bundled);
        bundled.ShouldContain("Iced.dll");
        bundled.ShouldNotContain("LivePatchLab.Interactive.Marker.dll");
    }

    [Fact]
    public void The_package_depends_on_no_other()
    {
        using var archive = ZipFile.OpenRead(PackedExtension.Archive);
        using var stream = archive.GetEntry("LivePatchLab.Interactive.nuspec")!.Open();
        Dependencies(XDocument.Load(stream)).ShouldBeEmpty();
    }

    [Fact]
    public void A_dependency_is_found()
        => Dependencies(XDocument.Parse("""<package xmlns="urn:a"><metadata><dependencies><group><dependency id="Iced" /></group></dependencies></metadata></package>""")).ShouldBe(["Iced"]);

    [Fact]
    public void The_marker_references_the_runtime_only()
        => References(Path.Combine(PackedExtension.Root, "lib", "net10.0", "LivePatchLab.Interactive.Marker.dll")).ShouldBe(["System.Runtime"]);

    [Fact]
    public void Every_reference_of_the_bundle_is_in_the_bundle_or_in_the_runtime() => Unresolved(Directory.GetFiles(PackedExtension.Bundle, "*.dll")).ShouldBeEmpty();

    [Fact]
    public void An_assembly_that_is_missing_from_the_bundle_is_found()
        => Unresolved([.. Directory.GetFiles(PackedExtension.Bundle, "*.dll").Where(path => Path.GetFileName(path) != "Iced.dll")])
            .ShouldContain("LivePatchLab.Machine needs Iced");

    [Fact]
    public void The_bundle_holds_managed_assemblies_only_and_none_of_the_product()
    {
        foreach (var path in Directory.GetFiles(PackedExtension.Bundle, "*.dll"))
        {
            References(path).Append(Path.GetFileNameWithoutExtension(path))
                .ShouldNotContain(name => name.StartsWith("Microsoft.DotNet.Interactive", StringComparison.Ordinal) || name == "System.CommandLine", path);
        }
    }

    private static IEnumerable<string> Dependencies(XDocument nuspec)
        => nuspec.Descendants().Where(element => element.Name.LocalName == "dependency").Select(element => element.Attribute("id")!.Value);

    private static IEnumerable<string> Unresolved(string[] bundle)
    {
        var runtime = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var names = bundle.Select(path => Path.GetFileNameWithoutExtension(path)).ToHashSet(StringComparer.Ordinal);
        return from path in bundle
               from name in References(path)
               where !names.Contains(name) && !File.Exists(Path.Combine(runtime, name + ".dll"))
               select $"{Path.GetFileNameWithoutExtension(path)} needs {name}";
    }

    /// <summary>Fails for a library that is not managed.</summary>
    private static List<string> References(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        file.HasMetadata.ShouldBeTrue(path);
        var metadata = file.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }
}
