using Microsoft.DotNet.Interactive.Events;

namespace LivePatchLab.Interactive.Tests;

/// <summary>register.csx and the scripts that run it, compiled and run in the stand-in for the host.</summary>
public sealed class RegistrationTests
{
    [Fact]
    public async Task Every_magic_is_a_directive_with_its_parameters_and_completions()
    {
        var host = await StandInHost.WithLabAsync();
        host.Directives.Select(directive => directive.Name).ShouldBe(["#!load", "#!machine", "#!patch", "#!sweep", "#!plot", "#!eval", "#!explore", "#!lab"]);
        host.Directives.ShouldAllBe(directive => directive.Description!.Length > 0 && directive.Parameters.All(parameter => parameter.Description!.Length > 0));

        var magics = (await host.RunWellAsync("""
            string.Join("\n", LabMagics.Table().SelectMany(magic => magic.Parameters.Select(p =>
                $"{magic.Directive} --{p.Name} {p.Required} {p.Flag} {p.Positional} {(p.Values == null ? "-" : string.Join(",", p.Values()))}")))
            """)).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBeOfType<string>();
        string.Join('\n', host.Directives.SelectMany(directive => directive.Parameters.Select(p =>
            $"{directive.Name} {p.Name} {p.Required} {p.Flag} {p.AllowImplicitName} {(p.Completions is null ? "-" : string.Join(',', p.Completions))}"))).ShouldBe(magics);
    }

    [Fact]
    public async Task The_script_leaves_no_name_behind_and_the_labs_usings()
    {
        var host = await StandInHost.WithLabAsync();
        (await host.RunWellAsync("new GuestAddress(1).Value + (ulong)Protocols.All.Count + (ulong)CostPreset.All.Count + (ulong)new List<Thread>().Count")).Error.ShouldBeNull();
        host.VariableNames.ShouldBeEmpty();
        (await host.RunAsync("typeof(LivePatchLabRegistration)")).Error.ShouldNotBeNull().ShouldContain("CS0246");
        (await host.RunAsync("typeof(KernelActionDirective)")).Error.ShouldNotBeNull().ShouldContain("CS0246");
    }

    [Fact]
    public async Task Loaded_twice_it_goes_on()
    {
        var host = await StandInHost.WithLabAsync();
        await host.RunWellAsync("#!machine --cpus 2 --sites 1");
        (await host.InstallAsync(PackedExtension.Root)).ShouldBeNull();
        host.Directives.Count.ShouldBe(8);
        (await host.RunWellAsync("#!patch")).Plain.ShouldStartWith("text_poke_bp_list on 1 site");
        (await host.RunWellAsync("run.IsGood && machine.Options.Cpus == 2")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(true);
    }

    [Fact]
    public async Task A_working_copy_is_imported_as_well()
    {
        var before = Directory.GetCurrentDirectory();
        try
        {
            Directory.SetCurrentDirectory(Path.Combine(LabFolder.Root, "notebooks"));
            var host = new StandInHost();
            (await host.ImportAsync(Path.Combine(PackedExtension.Project, "local.dib"))).ShouldBeNull();
            (await host.RunWellAsync("#!lab protocols")).Plain.ShouldContain("text_poke_bp_list");

            Directory.SetCurrentDirectory(Path.GetPathRoot(LabFolder.Root)!);
            (await new StandInHost().ImportAsync(Path.Combine(PackedExtension.Project, "local.dib"))).ShouldNotBeNull().ShouldStartWith("LivePatchLab cannot be loaded: there is no LivePatchLab.sln");
        }
        finally
        {
            Directory.SetCurrentDirectory(before);
        }
    }

    [Theory]
    [InlineData("int x = ;", "CS1525")]
    [InlineData("throw new System.InvalidOperationException(\"in the middle\");", "in the middle")]
    public async Task A_registration_that_fails_fails_the_cell(string script, string said)
    {
        var package = PackedExtension.Copy("spoilt");
        await File.WriteAllTextAsync(Path.Combine(package, "bundle", "register.csx"), script);
        (await new StandInHost().InstallAsync(package)).ShouldNotBeNull().ShouldStartWith("LivePatchLab cannot be loaded: ");
        (await new StandInHost().InstallAsync(package)).ShouldNotBeNull().ShouldContain(said);
    }

    [Fact]
    public async Task A_package_without_its_bundle_fails_the_cell()
    {
        var package = PackedExtension.Copy("hollow");
        Directory.Delete(Path.Combine(package, "bundle"), recursive: true);
        (await new StandInHost().InstallAsync(package)).ShouldNotBeNull().ShouldStartWith("LivePatchLab cannot be loaded: ");
    }

    [Theory]
    [InlineData("extension.dib")]
    [InlineData("local.dib")]
    public void A_script_for_the_host_has_one_cell(string name)
        => File.ReadLines(Path.Combine(PackedExtension.Project, name)).Where(line => line.StartsWith("#!", StringComparison.Ordinal)).ShouldBe(["#!csharp"]);
}
